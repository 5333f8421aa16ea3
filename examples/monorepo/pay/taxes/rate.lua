-- The value added tax of a country, in percent, or nil.
local rates = {at = 20, de = 19, fr = 20}

return function(country) return rates[country:lower()] end
