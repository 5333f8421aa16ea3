local serve = require("serve")

local moved = {["/tee"] = "/tea", ["/kanne"] = "/teapot"}

serve(function(path)
  return moved[path] and ('{"location": "%s"}'):format(moved[path])
end)
