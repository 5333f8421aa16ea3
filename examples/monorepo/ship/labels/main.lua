local serve = require("serve")

serve(function(path)
  local parcel = path:match("^/label/(%d+)$")
  return parcel and ('{"zpl": "^XA^FD%s^FS^XZ"}'):format(parcel)
end)
