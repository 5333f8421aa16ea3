from ledger import entry
from serve import serve

serve({"/healthz": "ok", "/bookings": [entry("ada", 1050)]})
