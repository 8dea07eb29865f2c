package main

import "sync"

// order is what a tenant has ordered.
type order struct {
	ID       int64  `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

// maxOrders is how many orders are kept of all tenants; the oldest go first.
const maxOrders = 10_000

// store keeps orders in memory. An order belongs to its tenant, and nobody else
// finds it.
type store struct {
	mu   sync.Mutex
	last int64
	kept []record // by id, the oldest first
	keys map[string]int64
}

type record struct {
	order
	tenant string
	key    string // of keys, empty without an Idempotency-Key
}

func newStore() *store { return &store{keys: map[string]int64{}} }

// add keeps a new order, or returns the one that was kept under the same
// idempotency key of the same tenant before.
func (s *store) add(tenant, key string, o order) order {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != "" {
		key = tenant + "\x00" + key
		if id, known := s.keys[key]; known {
			return s.at(id).order
		}
	}
	s.last++
	o.ID = s.last
	if key != "" {
		s.keys[key] = o.ID
	}
	if len(s.kept) == maxOrders {
		delete(s.keys, s.kept[0].key)
		s.kept = s.kept[1:]
	}
	s.kept = append(s.kept, record{o, tenant, key})
	return o
}

// known is the order that was kept under an idempotency key.
func (s *store) known(tenant, key string) (order, bool) {
	if key == "" {
		return order{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, known := s.keys[tenant+"\x00"+key]
	if !known {
		return order{}, false
	}
	return s.at(id).order, true
}

func (s *store) get(tenant string, id int64) (order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.at(id)
	if r == nil || r.tenant != tenant {
		return order{}, false
	}
	return r.order, true
}

// latest returns up to n orders of a tenant, the latest first.
func (s *store) latest(tenant string, n int) []order {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []order{}
	for i := len(s.kept) - 1; i >= 0 && len(all) < n; i-- {
		if s.kept[i].tenant == tenant {
			all = append(all, s.kept[i].order)
		}
	}
	return all
}

// at finds an order by its id, for which the ids of those kept have no gap.
func (s *store) at(id int64) *record {
	i := id - (s.last - int64(len(s.kept)) + 1)
	if i < 0 || i >= int64(len(s.kept)) {
		return nil
	}
	return &s.kept[i]
}
