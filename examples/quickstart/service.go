package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/handrail-go/handrail/observe"
)

// The headers that say whose a request is and which one it is.
const (
	tenantHeader      = "X-Tenant"
	idempotencyHeader = "Idempotency-Key"
)

// service takes orders. It knows nothing of what stands in front of it, but for
// the client that its stack gives it.
type service struct {
	*http.ServeMux
	store     *store
	warehouse string
	client    *http.Client
	logger    *slog.Logger
}

func newService(warehouse string, logger *slog.Logger) *service {
	s := &service{http.NewServeMux(), newStore(), warehouse, http.DefaultClient, logger}
	s.HandleFunc("POST /orders", s.create)
	s.HandleFunc("GET /orders", s.list)
	s.HandleFunc("GET /orders/{id}", s.show)
	return s
}

func (s *service) create(w http.ResponseWriter, r *http.Request) {
	tenant, key := r.Header.Get(tenantHeader), r.Header.Get(idempotencyHeader)
	if len(tenant) > 64 || len(key) > 128 {
		http.Error(w, "tenant or idempotency key is too long", http.StatusBadRequest)
		return
	}
	// A request that comes again is answered again, and does nothing. That is
	// what allows a retry to repeat it.
	if o, known := s.store.known(tenant, key); known {
		reply(w, http.StatusCreated, o)
		return
	}
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&o); err != nil {
		http.Error(w, "want JSON with item and quantity", http.StatusBadRequest)
		return
	}
	if o.Item == "" || len(o.Item) > 256 || o.Quantity < 1 || o.Quantity > 1000 {
		http.Error(w, "item must not be empty, quantity be between 1 and 1000", http.StatusUnprocessableEntity)
		return
	}
	if err := s.reserve(r.Context(), key, o); err != nil {
		if r.Context().Err() != nil {
			return // the client left, or the deadline has answered
		}
		// Seen from here, whoever asks, the dependency has failed.
		s.logger.WarnContext(r.Context(), "not reserved", "error", err)
		http.Error(w, "the warehouse does not answer", http.StatusBadGateway)
		return
	}
	o = s.store.add(tenant, key, o)
	observe.AddAttrs(r.Context(), slog.Int64("order", o.ID)) // into the access log
	w.Header().Set("Location", "/orders/"+strconv.FormatInt(o.ID, 10))
	reply(w, http.StatusCreated, o)
}

// reserve asks the warehouse. The context carries the deadline and the trace.
func (s *service) reserve(ctx context.Context, key string, o order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", s.warehouse+"/reservations", bytes.NewReader(body))
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set(idempotencyHeader, key) // so that it reserves once, too
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// Read to the end, so that the connection can be used again.
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("the warehouse says %s", resp.Status)
	}
	return nil
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, s.store.latest(r.Header.Get(tenantHeader), 50))
}

func (s *service) show(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	o, found := s.store.get(r.Header.Get(tenantHeader), id)
	if err != nil || !found {
		http.Error(w, "there is no such order", http.StatusNotFound)
		return
	}
	reply(w, http.StatusOK, o)
}

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(errors.Join(errors.New("an answer that is no JSON"), err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
