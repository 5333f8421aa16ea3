from serve import serve

serve({"/healthz": "ok", "/items": [{"sku": "tea", "price": 4}]})
