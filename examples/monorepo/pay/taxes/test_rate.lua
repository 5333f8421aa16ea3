local rate = require("rate")

assert(rate("de") == 19)
assert(rate("AT") == 20)
assert(rate("xx") == nil)
