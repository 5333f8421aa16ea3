-- Answer GET with JSON: the whole framework of this shop's Lua services.
local socket = require("socket")

local function answer_one(server, answer)
  local client = server:accept()
  client:settimeout(5)
  local path = (client:receive("*l") or ""):match("^GET (%S+)")
  repeat local header = client:receive("*l") until not header or header == ""
  local body = path == "/healthz" and '"ok"' or path and answer(path)
  local status = body and "200 OK" or "404 Not Found"
  body = body or '{"error": "not found"}'
  client:send(("HTTP/1.0 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(status, #body, body))
  client:close()
end

-- Serve what `answer(path)` returns (JSON, or nil) on $PORT, for ever. With --check: on any free port, until /healthz has answered once.
return function(answer)
  if arg[1] == "--check" then
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = assert(socket.connect("127.0.0.1", port))
    client:send("GET /healthz HTTP/1.0\r\n\r\n")
    answer_one(server, answer)
    assert(client:receive("*l") == "HTTP/1.0 200 OK")
  else
    local server = assert(socket.bind("*", os.getenv("PORT") or 8080))
    while true do answer_one(server, answer) end
  end
end
