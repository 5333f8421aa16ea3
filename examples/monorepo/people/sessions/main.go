package main

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"

	"shop/serve"
)

func main() {
	serve.JSON(func(r *http.Request) any {
		token := make([]byte, 16)
		if _, err := rand.Read(token); err != nil {
			return nil
		}
		return map[string]string{"token": hex.EncodeToString(token)}
	})
}
