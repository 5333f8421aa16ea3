package main

import (
	"net/http"
	"sort"

	"shop/serve"
)

var days = map[string]int{"air": 2, "road": 4, "sea": 21}

func main() {
	serve.JSON(func(r *http.Request) any {
		by := []string{}
		for name := range days {
			by = append(by, name)
		}
		sort.Slice(by, func(i, j int) bool { return days[by[i]] < days[by[j]] })
		return by
	})
}
