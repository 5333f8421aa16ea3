local serve = require("serve")

local percent = {WELCOME = 10, TEATIME = 15}

serve(function(path)
  local off = percent[path:sub(2)]
  return off and ('{"percent": %d}'):format(off)
end)
