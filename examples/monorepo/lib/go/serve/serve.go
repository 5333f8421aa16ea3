// Package serve answers GET with JSON: the whole framework of this shop's Go services.
package serve

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

// JSON answers with what `answer` returns.
func JSON(answer func(*http.Request) any) {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/healthz" {
			fmt.Fprintln(w, `"ok"`)
		} else if body := answer(r); body != nil {
			json.NewEncoder(w).Encode(body)
		} else {
			http.Error(w, `{"error": "not found"}`, http.StatusNotFound)
		}
	})
	Main()
}

// Main serves http's default handlers on $PORT, for ever. With --check: on any free port, until /healthz has answered once.
func Main() {
	check := len(os.Args) == 2 && os.Args[1] == "--check"
	address := ":" + os.Getenv("PORT")
	if check {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	if !check {
		log.Fatal(http.Serve(listener, nil))
	}
	go http.Serve(listener, nil)
	answer, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil || answer.StatusCode != http.StatusOK {
		log.Fatal("/healthz did not answer: ", err)
	}
}
