package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
)

// tenants are who sends. The first sends four fifths of everything.
var tenants = [...]string{"noisy", "quiet-1", "quiet-2", "quiet-3", "quiet-4"}

// Per 200 requests: 10 % critical, 20 % high, 40 % normal, 20 % low and 10 %
// background, the same mix for every tenant, so that tenants differ by how
// much they send and by nothing else.
var (
	classCards  = [handrail.Priorities]int{1, 2, 4, 2, 1}
	tenantCards = [len(tenants)]int{16, 1, 1, 1, 1}
)

// kinds is the number of different requests.
const kinds = handrail.Priorities * len(tenants)

// kind is what a request is: its class and its tenant.
type kind uint8

func kindOf(rank, tenant int) kind { return kind(tenant*handrail.Priorities + rank) }
func (k kind) rank() int           { return int(k) % handrail.Priorities }
func (k kind) tenant() int         { return int(k) / handrail.Priorities }
func (k kind) className() string   { return handrail.PriorityOfRank(k.rank()).String() }
func (k kind) tenantName() string  { return tenants[k.tenant()] }
func className(rank int) string    { return handrail.PriorityOfRank(rank).String() }
func allKinds(yield func(kind) bool) {
	for k := range kind(kinds) {
		if !yield(k) {
			return
		}
	}
}

// deck deals kinds in random order but in exact shares, so that the draw adds
// no noise to the comparison of classes and tenants.
type deck struct {
	rng   *rand.Rand
	cards []kind
	next  int
}

func newDeck(rng *rand.Rand) *deck {
	d := &deck{rng: rng}
	for tenant, n := range tenantCards {
		for rank, m := range classCards {
			for range n * m {
				d.cards = append(d.cards, kindOf(rank, tenant))
			}
		}
	}
	d.next = len(d.cards)
	return d
}

func (d *deck) deal() kind {
	if d.next == len(d.cards) {
		d.rng.Shuffle(len(d.cards), func(i, j int) { d.cards[i], d.cards[j] = d.cards[j], d.cards[i] })
		d.next = 0
	}
	d.next++
	return d.cards[d.next-1]
}

// outcome is how a request ended for its client.
type outcome uint8

const (
	unsent   outcome = iota // never sent, or the run was interrupted first
	good                    // answered 2xx or 3xx within the deadline
	refused                 // answered 503 or 429: shed
	late                    // no whole answer within the deadline
	failed                  // another status, or the connection broke
	overflow                // the client had no connection left to send it on
	outcomes
)

// request is one entry of the schedule and, afterwards, what became of it.
// Times are since the start of the run.
type request struct {
	due     time.Duration // when it was meant to be sent
	lag     time.Duration // how long after that it was written
	took    time.Duration // from due to the whole answer
	kind    kind
	phase   uint8
	outcome outcome
}

// schedule lays down every arrival of a run before it begins, so that the
// client's own trouble cannot thin them out. Each phase gets exactly as many
// as its load says: at even distances, or, as independent clients would send
// them, at independent uniform times, which is a Poisson process without the
// luck in its number.
func schedule(s shape, capacity float64, even bool, seed uint64) []request {
	rng := rand.New(rand.NewPCG(seed, 0x6f7665726c6f6164))
	deck := newDeck(rng)
	list := make([]request, 0, int(s.arrivals(capacity))+len(s))
	for i, p := range s {
		begin, n := s.start(i), int(p.ratio*capacity*p.long.Seconds()+.5)
		due := make([]time.Duration, n)
		for j := range due {
			if even {
				due[j] = time.Duration((float64(j) + .5) / float64(n) * float64(p.long))
			} else {
				due[j] = time.Duration(rng.Int64N(int64(p.long)))
			}
		}
		slices.Sort(due)
		for _, at := range due {
			list = append(list, request{due: begin + at, kind: deck.deal(), phase: uint8(i)})
		}
	}
	return list
}

// tenantShare is how much of the traffic a tenant sends, in percent.
func tenantShare(tenant int) int {
	all := 0
	for _, n := range tenantCards {
		all += n
	}
	return 100 * tenantCards[tenant] / all
}
