from serve import serve

serve({"/healthz": "ok", "/reviews": [{"sku": "tea", "stars": 5}]})
