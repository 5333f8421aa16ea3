from serve import serve

serve({"/healthz": "ok", "/consent": {"newsletter": False}})
