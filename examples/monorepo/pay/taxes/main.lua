local rate = require("rate")
local serve = require("serve")

serve(function(path)
  local percent = rate(path:sub(2))
  return percent and ('{"percent": %d}'):format(percent)
end)
