package main

import (
	"net/http"

	"shop/serve"
)

type entry struct {
	Account string `json:"account"`
	Cents   int    `json:"cents"`
}

func main() {
	serve.JSON(func(r *http.Request) any {
		if r.URL.Path == "/entries" {
			return []entry{{"ada", 1050}}
		}
		return nil
	})
}
