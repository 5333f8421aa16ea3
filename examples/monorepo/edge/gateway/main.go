package main

import (
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"shop/serve"
)

var routes = map[string]string{"/items": "catalog", "/search": "search", "/cart": "cart"}

func route(r *http.Request) any {
	if service, known := routes[r.URL.Path]; known {
		return map[string]string{"service": service}
	}
	return nil
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--soak" {
		soak()
		return
	}
	serve.JSON(route)
}

// soak routes a million requests.
func soak() {
	for i := 0; i < 1_000_000; i++ {
		if route(httptest.NewRequest("GET", "/items", nil)) == nil {
			log.Fatal("lost a request")
		}
	}
}
