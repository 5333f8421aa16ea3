package main

import (
	"net/http"
	"sync/atomic"

	"shop/serve"
)

func main() {
	var count atomic.Int64
	serve.JSON(func(r *http.Request) any {
		return map[string]bool{"allowed": count.Add(1)%100 != 0}
	})
}
