from serve import serve

serve({"/healthz": "ok", "/recommendations": ["tea"]})
