from total import total

assert total([]) == 0
assert total([(2, 400), (1, 250)]) == 1050
