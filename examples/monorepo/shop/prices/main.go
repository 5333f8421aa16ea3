package main

import (
	"net/http"

	"shop/serve"
)

var cents = map[string]int{"/tea": 400, "/teapot": 2500}

func main() {
	serve.JSON(func(r *http.Request) any {
		if price, known := cents[r.URL.Path]; known {
			return map[string]int{"cents": price}
		}
		return nil
	})
}
