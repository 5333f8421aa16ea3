from serve import serve

serve({"/healthz": "ok", "/users": [{"id": 1, "name": "Ada"}]})
