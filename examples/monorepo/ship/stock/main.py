from serve import serve

serve({"/healthz": "ok", "/levels": {"tea": 12}})
