package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

func TestMaxMinGivesWhatNobodyElseNeeds(t *testing.T) {
	for _, c := range []struct {
		capacity float64
		demands  []float64
		want     []float64
	}{
		{10, []float64{2, 2}, []float64{2, 2}},
		{10, []float64{8, 2, 8}, []float64{4, 2, 4}},
		{1, []float64{1.6, .04, .04, .04, .04, .04, .04, .04, .04, .04, .04}, []float64{.6, .04, .04, .04, .04, .04, .04, .04, .04, .04, .04}},
		{10, []float64{0, -1, math.NaN(), 20}, []float64{0, 0, 0, 10}},
		{10, nil, []float64{}},
		{0, []float64{1, 2}, []float64{0, 0}},
		{math.NaN(), []float64{1}, []float64{0}},
		{math.Inf(1), []float64{1, 2}, []float64{1, 2}},
		{6, []float64{math.Inf(1), 1, math.Inf(1)}, []float64{2.5, 1, 2.5}},
	} {
		got := MaxMin(c.capacity, c.demands)
		if len(got) != len(c.want) {
			t.Fatalf("MaxMin(%v, %v) = %v", c.capacity, c.demands, got)
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-9 {
				t.Errorf("MaxMin(%v, %v) = %v, want %v", c.capacity, c.demands, got, c.want)
			}
		}
	}
}

func FuzzMaxMinIsFair(f *testing.F) {
	f.Add(uint64(1), 10.)
	f.Fuzz(func(t *testing.T, seed uint64, capacity float64) {
		if !(capacity >= 0 && capacity < 1e12) {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		demands := make([]float64, r.IntN(20))
		sum := 0.
		for i := range demands {
			demands[i] = r.ExpFloat64() * 100
			sum += demands[i]
		}
		shares := MaxMin(capacity, demands)
		given, most := 0., 0.
		for i, s := range shares {
			if s < 0 || s > demands[i] {
				t.Fatalf("%v of a demand of %v", s, demands[i])
			}
			given += s
			most = max(most, s)
		}
		if want := min(sum, capacity); math.Abs(given-want) > 1e-6*(1+want) {
			t.Fatalf("gave %v, want %v", given, want)
		}
		for i, s := range shares {
			if s < demands[i]-1e-9 && s < most-1e-6*(1+most) {
				t.Fatalf("%v wants more than %v while another has %v", demands[i], s, most)
			}
		}
	})
}

func TestFairShareOfTenants(t *testing.T) {
	s := Stats{Possible: 100, Tenants: []TenantCount{
		{"noisy", Count{Calls: 160}}, {"quiet", Count{Calls: 40}}, {"silent", Count{}},
	}}
	if got := s.Fair(); !slices.Equal(got, []float64{.375, 1, 1}) {
		t.Errorf("%v", got)
	}
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	ten := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for _, c := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{nil, .5, 0}, {ten[:1], .99, 1}, {ten, .5, 5}, {ten, .51, 6}, {ten, .9, 9}, {ten, .99, 10}, {ten, 1, 10}, {ten, 0, 1},
	} {
		if got := quantile(c.of, c.q); got != c.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.of, c.q, got, c.want)
		}
	}
}

// made has a request every 10 ms for a second: held 1 ms, answered after 5 ms,
// refused from 300 to 600 ms.
func made() *Result {
	r := &Result{Capacity: 50, window: 100 * time.Millisecond, tenants: []string{"even", "odd"}}
	for i := range 100 {
		at := time.Duration(i) * 10 * time.Millisecond
		s := sample{sent: at, handled: at + time.Millisecond, ended: at + 5*time.Millisecond, outcome: InTime, success: true, class: uint8(i % 5), tenant: uint16(i % 2)}
		if i >= 30 && i < 60 {
			s.outcome, s.handled, s.ended, s.success = Refused, -1, at, false
		} else {
			r.useful = append(r.useful, s.ended)
		}
		r.samples = append(r.samples, s)
	}
	r.windows(time.Second)
	return r
}

func TestBetweenCountsWhatWasSentThen(t *testing.T) {
	r := made()
	s := r.Between(200*time.Millisecond, 400*time.Millisecond)
	if s.Offered != 20 || s.InTime != 10 || s.Refused != 10 || s.Useful != 10 || s.Possible != 10 || s.Calls != 20 || s.Succeeded != 10 {
		t.Errorf("%+v", s)
	}
	if s.Goodput() != 1 || s.Utilization() != 1 || s.Success() != .5 || s.Shed() != .5 || s.Waste() != 0 || s.Admitted() != 10 {
		t.Errorf("%v %v %v %v", s.Goodput(), s.Utilization(), s.Success(), s.Shed())
	}
	if s.P50 != 5*time.Millisecond || s.Max != 5*time.Millisecond || s.Mean != 5*time.Millisecond {
		t.Errorf("%+v", s.Count)
	}
	if s.Class(handrail.Critical).Offered != 4 || s.Tenant("odd").Offered != 10 || s.Tenant("nobody").Offered != 0 {
		t.Errorf("%+v", s)
	}
	// What is answered after the end is of use in the next period.
	if s := r.Between(0, 24*time.Millisecond); s.Offered != 3 || s.InTime != 3 || s.Useful != 2 {
		t.Errorf("%+v", s.Count)
	}
	for _, empty := range []Stats{r.Between(5*time.Second, 6*time.Second), r.Between(time.Second, 0)} {
		if empty.Offered != 0 || empty.Useful != 0 || empty.Goodput() != 1 || empty.Success() != 1 || empty.Shed() != 0 || empty.Waste() != 0 || empty.P99 != 0 {
			t.Errorf("%+v", empty)
		}
	}
}

func TestWindowsTellWhoIsInside(t *testing.T) {
	r := made()
	if len(r.Windows) != 10 {
		t.Fatalf("%d windows", len(r.Windows))
	}
	for i, w := range r.Windows {
		want := Window{From: time.Duration(i) * r.window, Offered: 10, InTime: 10, Useful: 10, P50: 5 * time.Millisecond, P99: 5 * time.Millisecond}
		if i >= 3 && i < 6 {
			want = Window{From: want.From, Offered: 10, Refused: 10}
		}
		if w != want {
			t.Errorf("window %d: %+v, want %+v", i, w, want)
		}
	}
	r.samples = []sample{
		{sent: 10 * time.Millisecond, handled: 150 * time.Millisecond, ended: 350 * time.Millisecond, outcome: Wasted},
		{sent: 50 * time.Millisecond, handled: -1, ended: 250 * time.Millisecond, outcome: Expired},
	}
	r.windows(450 * time.Millisecond)
	inside, waiting := []int{0, 1, 1, 0, 0}, []int{2, 1, 0, 0, 0}
	for i, w := range r.Windows {
		if w.InFlight != inside[i] || w.Waiting != waiting[i] {
			t.Errorf("window %d: %d inside, %d waiting, want %d and %d", i, w.InFlight, w.Waiting, inside[i], waiting[i])
		}
	}
}

func TestRecoveryIsTheEndOfTheLastBadMoment(t *testing.T) {
	r := made()
	well := func(s Stats) bool { return s.Shed() == 0 }
	for _, c := range []struct{ from, to, stretch, want time.Duration }{
		{0, 1000, 100, 600}, {300, 1000, 100, 300}, {600, 1000, 100, 0}, {0, 600, 100, 600},
		{300, 1000, 250, 300}, {650, 1000, 1000, 350}, {0, 300, 300, 0},
	} {
		ms := time.Millisecond
		if got := r.Recovery(c.from*ms, c.to*ms, c.stretch*ms, well); got != c.want*ms {
			t.Errorf("from %d to %d by %d: %v, want %dms", c.from, c.to, c.stretch, got, c.want)
		}
	}
}

func TestTableOfAnUnboundedService(t *testing.T) {
	r := Run(t, Scenario{Service: Delay{Constant(1234567)}, Unit: 10, Shape: Steady(time.Second, 1), Mix: Mix{Classes: [5]float64{0, 0, 1}}}, Bare)
	table := r.String()
	for _, want := range []string{"unbounded capacity, seed 0", "1.23ms", "1.000", "  -"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if strings.Contains(table, "total") || strings.Contains(table, "NaN") || strings.Contains(table, "Inf") {
		t.Errorf("one phase is the total; and no figure is missing:\n%s", table)
	}
	if r.Total.Utilization() != 0 {
		t.Errorf("utilization of infinity %v", r.Total.Utilization())
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	for o, want := range map[Outcome]string{InTime: "in time", Refused: "refused", Expired: "expired", Wasted: "wasted", 9: "unknown"} {
		if o.String() != want {
			t.Errorf("%d is %q, want %q", o, o, want)
		}
	}
}
