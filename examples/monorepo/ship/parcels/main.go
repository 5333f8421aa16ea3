package main

import (
	"net/http"

	"shop/serve"
)

func main() {
	serve.JSON(func(r *http.Request) any {
		if r.URL.Path == "/parcels/1" {
			return map[string]string{"state": "on its way"}
		}
		return nil
	})
}
