from serve import serve
from total import total

ORDERS = {"1": [(2, 400), (1, 250)]}

serve({"/healthz": "ok", **{f"/orders/{name}": {"cents": total(lines)} for name, lines in ORDERS.items()}})
