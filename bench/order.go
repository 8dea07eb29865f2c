package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// order is what the loopback server answers with.
type order struct {
	ID       string  `json:"id"`
	Customer string  `json:"customer"`
	Status   string  `json:"status"`
	Lines    []line  `json:"lines"`
	Total    float64 `json:"total"`
	Currency string  `json:"currency"`
}

type line struct {
	Article  string  `json:"article"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

const ordersKept, linesOfOrder = 1000, 5

// aboutOrders describes the handler in the page.
func aboutOrders() string {
	body := must(json.Marshal(newOrder(7)))
	return "The handler is a ServeMux with one route, which looks up one of " + strconv.Itoa(ordersKept) +
		" orders in a map behind a lock and encodes it with encoding/json: " + strconv.Itoa(len(body)) + " bytes."
}

func newOrder(n int) order {
	o := order{ID: strconv.Itoa(n), Customer: "customer-" + strconv.Itoa(n%97), Status: "paid", Currency: "EUR"}
	for i := range linesOfOrder {
		price := float64((n*31+i*17)%10_000) / 100
		o.Lines = append(o.Lines, line{Article: "article-" + strconv.Itoa(n*7+i), Quantity: i + 1, Price: price})
		o.Total += price * float64(i+1)
	}
	return o
}

// orders is a small service: GET /orders/{id}.
func orders() http.Handler {
	var lock sync.RWMutex
	kept := make(map[string]order, ordersKept)
	for n := range ordersKept {
		kept[strconv.Itoa(n)] = newOrder(n)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		lock.RLock()
		o, ok := kept[r.PathValue("id")]
		lock.RUnlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		body, err := json.Marshal(o)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
	return mux
}
