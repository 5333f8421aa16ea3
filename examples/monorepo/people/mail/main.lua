local serve = require("serve")

serve(function(path)
  local name = path:match("^/welcome/(%a+)$")
  return name and ('{"subject": "Welcome, %s"}'):format(name)
end)
