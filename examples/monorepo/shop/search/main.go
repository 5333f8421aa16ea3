package main

import (
	"net/http"
	"strings"

	"shop/serve"
)

var items = []string{"black tea", "green tea", "teapot"}

func main() {
	serve.JSON(func(r *http.Request) any {
		found := []string{}
		for _, item := range items {
			if strings.Contains(item, r.URL.Query().Get("q")) {
				found = append(found, item)
			}
		}
		return found
	})
}
