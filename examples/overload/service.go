package main

import (
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// spread is the standard deviation of the logarithm of the pool's service
// times: half of them lie within ±29 % of the median, one in a hundred beyond
// 2.4 times the mean.
const spread = 0.5

// serviceTimes deals lognormal times with the given mean in random order, in
// decks that hold every 256th part of the distribution once, so that capacity
// does not depend on luck.
type serviceTimes struct {
	list []time.Duration
	next atomic.Uint64
}

func newServiceTimes(mean time.Duration, rng *rand.Rand) *serviceTimes {
	const deck, decks = 256, 16
	var sum float64
	quantiles := make([]float64, deck)
	for i := range quantiles {
		p := (float64(i) + .5) / deck
		quantiles[i] = math.Exp(spread * math.Sqrt2 * math.Erfinv(2*p-1))
		sum += quantiles[i]
	}
	t := &serviceTimes{}
	for range decks {
		for _, i := range rng.Perm(deck) {
			t.list = append(t.list, time.Duration(quantiles[i]*float64(mean)*deck/sum))
		}
	}
	return t
}

func (t *serviceTimes) draw() time.Duration {
	return t.list[(t.next.Add(1)-1)%uint64(len(t.list))]
}

// newPool is a service with a fixed number of workers and a queue without end
// in front of them, as a connection pool is: the handler takes the next free
// worker, which then sleeps. Like most handlers it does not ask whether its
// client is still there.
func newPool(workers int, mean time.Duration, rng *rand.Rand) http.Handler {
	times := newServiceTimes(mean, rng)
	free := make(chan time.Time, workers) // workers, each as the time it became free
	for range workers {
		free <- time.Time{}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A request's service begins when both it and its worker were there,
		// not when the machine got round to waking somebody, so that the
		// pool's capacity is workers ÷ mean however coarse the timers are.
		start := time.Now()
		if since := <-free; since.After(start) {
			start = since
		}
		end := start.Add(times.draw())
		defer func() { free <- end }()
		time.Sleep(time.Until(end))
		answer(w)
	})
}

// newBurner is a service that needs the CPU for that long and nothing else.
func newBurner(work time.Duration) http.Handler {
	rounds := calibrate(work)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		burn(rounds)
		answer(w)
	})
}

var sink atomic.Uint32

// burn hashes a kilobyte that many times.
func burn(rounds int) {
	var block [1024]byte
	for range rounds {
		sum := sha256.Sum256(block[:])
		copy(block[:], sum[:])
	}
	sink.Add(uint32(block[0]))
}

// calibrate finds how many rounds last as long as work on this CPU when
// nothing else runs, for which the fastest of several trials is the best
// estimate.
func calibrate(work time.Duration) int {
	const rounds, trials = 500, 20
	fastest := time.Duration(math.MaxInt64)
	for range trials {
		start := time.Now()
		burn(rounds)
		fastest = min(fastest, time.Since(start))
	}
	return max(1, int(float64(work)/float64(max(fastest, 1))*rounds))
}

var body = []byte("served\n")

func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", "7")
	w.Write(body)
}
