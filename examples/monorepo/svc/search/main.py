from serve import serve

serve({"/healthz": "ok", "/results": {"hits": 0}})
