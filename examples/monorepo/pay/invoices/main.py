from ledger import entry
from serve import serve

serve({"/healthz": "ok", "/invoices": [{"number": 1, "lines": [entry("ada", 1050)]}]})
