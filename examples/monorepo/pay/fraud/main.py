from serve import serve

serve({"/healthz": "ok", "/suspects": []})
