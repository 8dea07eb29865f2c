package shed_test

import (
	"math"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// moved collects which fields of the statistics were ever anything but zero.
type moved map[string]bool

func (m moved) look(s *shed.Shedder) shed.Stats {
	st := s.Stats()
	m.fields("", reflect.ValueOf(st))
	return st
}

func (m moved) fields(path string, v reflect.Value) {
	for i := range v.NumField() {
		name, field := path+v.Type().Field(i).Name, v.Field(i)
		switch {
		case field.Type() == reflect.TypeFor[load.Snapshot]():
			m.fields(name+".", field)
		case field.Kind() == reflect.Array:
			for j := range field.Len() {
				m.fields(name+".", field.Index(j))
			}
		case field.Kind() == reflect.Map:
			m[name] = m[name] || field.Len() > 0
		default:
			m[name] = m[name] || !field.IsZero()
		}
	}
}

// consistent is what holds for the figures of any Shedder at rest.
func consistent(t *testing.T, st shed.Stats) {
	t.Helper()
	var admitted, refused uint64
	reasons := map[shed.Reason]uint64{}
	for rank, c := range st.ByPriority {
		if c.Priority != handrail.PriorityOfRank(rank) {
			t.Errorf("rank %d is %v", rank, c.Priority)
		}
		admitted += c.Admitted
		refused += c.Shed
		sum := uint64(0)
		for why, n := range c.Reasons {
			sum += n
			reasons[why] += n
		}
		if sum != c.Shed {
			t.Errorf("%v: %d shed, the reasons add up to %d", c.Priority, c.Shed, sum)
		}
	}
	if admitted != st.Admitted || refused != st.Shed || !reflect.DeepEqual(reasons, st.Reasons) {
		t.Errorf("by priority %d admitted, %d shed, %v; in total %d, %d, %v", admitted, refused, reasons, st.Admitted, st.Shed, st.Reasons)
	}
	all := st.Admitted + st.Shed
	if st.DryRun {
		all = st.Admitted
	}
	if all > 0 && math.Abs(st.ShedRate-float64(st.Shed)/float64(all)) > 1e-12 || all == 0 && st.ShedRate != 0 {
		t.Errorf("shed rate %v of %d and %d", st.ShedRate, st.Admitted, st.Shed)
	}
	if _, ok := st.Reasons[shed.ReasonGone]; ok {
		t.Error("a client that left is counted as shed")
	}
}

func TestEveryFigureIsMovedByWhatItCounts(t *testing.T) {
	seen := moved{}
	bubble(t, func(t *testing.T) {
		// Two slots: four requests of one second, some refused, one that left.
		m := new(machine)
		m.set(.42, .43)
		m.usage.Store(&load.Usage{CPU: load.Value{V: .42, Known: true}, Memory: load.Value{V: .43, Known: true}, HostCPU: load.Value{V: .44, Known: true}})
		m.sched.Store(&load.Scheduler{Runnable: .25, Latency: time.Microsecond, Known: true})
		s := shedder(t, trusting(shed.WithName("front"), fixed(2), shed.WithSampler(m.sampler(t)), shed.WithMaxTenants(3))...)
		h := s.Wrap(desk)
		for i := range 20 {
			calls := fill(t, h, 2, classHeader, "high", tenantHeader, "a")
			time.Sleep(100 * time.Millisecond)
			if i == 0 {
				calls[0].release <- status(http.StatusInternalServerError)
			}
			finish(calls)
		}
		st := seen.look(s)
		if st.Name != "front" || st.Strategy != shed.Adaptive || st.Limit != 2 || st.InFlight != 0 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
		l := st.Load
		if l.CPU.V != .42 || l.Memory.V != .43 || l.HostCPU.V != .44 || l.Scheduler.Runnable != .25 {
			t.Errorf("the machine is %+v", l)
		}
		if l.Samples != 40 || l.ErrorRate != 1./40 || l.Mean != 100*time.Millisecond || l.Rate <= 0 {
			t.Errorf("%d samples, %v failed, mean %v, %v a second", l.Samples, l.ErrorRate, l.Mean, l.Rate)
		}
		for _, q := range []time.Duration{l.P50, l.P95, l.P99} {
			if q < 96*time.Millisecond || q > 104*time.Millisecond {
				t.Errorf("quantiles %v, %v, %v of requests of 100ms", l.P50, l.P95, l.P99)
				break
			}
		}
		if st.Base < 90*time.Millisecond || st.Base > 110*time.Millisecond || math.Abs(st.Throughput-20) > 2 {
			t.Errorf("base %v, throughput %v of two slots of 100ms", st.Base, st.Throughput)
		}
		if st.Admitted != 40 || st.ByPriority[handrail.High.Rank()].Admitted != 40 || st.Shed != 0 {
			t.Errorf("admitted %d, by priority %+v", st.Admitted, st.ByPriority)
		}
		consistent(t, st)

		calls := fill(t, h, 2, tenantHeader, "b")
		gone := settled(h)
		if st := seen.look(s); st.InFlight != 2 || st.Waiting != 1 || st.Load.InFlight != 2 {
			t.Errorf("%d in flight, %d waiting, the sampler counts %d", st.InFlight, st.Waiting, st.Load.InFlight)
		}
		gone.cancel()
		synctest.Wait()
		if st := seen.look(s); st.Gone != 1 || st.Shed != 0 || st.Waiting != 0 {
			t.Errorf("gone %d, shed %d, waiting %d", st.Gone, st.Shed, st.Waiting)
		}
		late := settled(h, classHeader, "background")
		time.Sleep(3 * time.Second)
		if !late.over.Load() {
			t.Fatal("still waits")
		}
		st = seen.look(s)
		background := st.ByPriority[handrail.Background.Rank()]
		if st.Shed != 1 || background.Shed != 1 || background.Reasons[shed.ReasonTimeout] != 1 || math.Abs(st.ShedRate-1./43) > 1e-12 {
			t.Errorf("shed %d, background %+v, rate %v", st.Shed, background, st.ShedRate)
		}
		consistent(t, st)
		finish(calls)
		for i := range 10 { // tenants come and go, then too many at once
			get(h, tenantHeader, strconv.Itoa(i))
		}
		if st := seen.look(s); st.Tenants != 3 || st.EvictedTenants < 7 {
			t.Errorf("%d tenants, %d forgotten", st.Tenants, st.EvictedTenants)
		}
		must(t, s.Update(shed.WithLongLived(func(r *http.Request) bool { return r.Header.Get("X-Watch") != "" })))
		calls = []*call{settled(h, "X-Watch", "1"), settled(h, "X-Watch", "1")}
		if st := seen.look(s); st.LongLived != 2 || st.Load.LongLived != 2 {
			t.Errorf("%d long-lived, the sampler counts %d", st.LongLived, st.Load.LongLived)
		}
		finish(calls)
		calls = fill(t, h, 2)
		for i := range 4 {
			calls = append(calls, settled(h, tenantHeader, "waits-"+strconv.Itoa(i)))
		}
		if st := seen.look(s); st.Waiting != 4 || st.SharedTenants != 1 {
			t.Errorf("%d waiting, %d shared an account", st.Waiting, st.SharedTenants)
		}
		finish(calls[:2])
		finish(calls[2:])
		finish(calls)
		empty(t, s)
	})
	bubble(t, func(t *testing.T) {
		m := new(machine)
		m.set(1, 1)
		hold := make(chan struct{})
		s := shedder(t, shed.WithSampler(m.sampler(t)), shed.WithDryRun(true), shed.WithCircuit(shed.CircuitSettings{Hold: 1}),
			shed.OnShed(func(shed.Event) { <-hold }))
		h := s.Wrap(noop)
		for range 1100 {
			get(h)
			time.Sleep(time.Millisecond)
		}
		st := seen.look(s)
		if st.Circuit != shed.CircuitOpen || st.CircuitFor != time.Since(time.Now().Add(-st.CircuitFor)) || st.CircuitFor < time.Second {
			t.Errorf("circuit %v for %v", st.Circuit, st.CircuitFor)
		}
		if math.Abs(st.Pressure-.6) > 1e-9 {
			t.Errorf("pressure %v with CPU and memory at their worst", st.Pressure)
		}
		if !st.DryRun || st.Admitted != 1100 || st.Shed < 1000 || st.DroppedEvents < 50 {
			t.Errorf("dry run %t, admitted %d, shed %d, dropped %d events", st.DryRun, st.Admitted, st.Shed, st.DroppedEvents)
		}
		consistent(t, st)
		close(hold)
	})
	bubble(t, func(t *testing.T) {
		// A source that fails and a closed sampler, for the sampler's fields.
		sampler, err := load.New(load.WithSource(func() (load.Usage, error) { panic("source") }))
		must(t, err)
		s := shedder(t, shed.WithSampler(sampler))
		get(s.Wrap(noop))
		seen.look(s)
		sampler.Close()
		if st := seen.look(s); !st.Load.Stale || st.Load.SourceFailures == 0 {
			t.Errorf("stale %t, %d failures", st.Load.Stale, st.Load.SourceFailures)
		}
	})
	for field, ever := range seen {
		if !ever {
			t.Errorf("nothing moved %s", field)
		}
	}
}

func TestEveryReasonIsCountedUnderItsName(t *testing.T) {
	want := map[shed.Reason]string{
		shed.ReasonLimit: "limit", shed.ReasonDisplaced: "displaced", shed.ReasonTimeout: "timeout", shed.ReasonDeadline: "deadline",
		shed.ReasonMemory: "memory", shed.ReasonPressure: "pressure", shed.ReasonCircuit: "circuit", shed.ReasonCustom: "custom", shed.ReasonGone: "gone",
	}
	for why, name := range want {
		if got := why.String(); got != name {
			t.Errorf("reason %d is called %q, want %q", why, got, name)
		}
	}
	if got := shed.Reason(200).String(); got != "unknown" {
		t.Errorf("no reason is called %q", got)
	}
}

func TestStatisticsAreACopy(t *testing.T) {
	s := shedder(t, never())
	get(s.Wrap(noop))
	st := s.Stats()
	st.Reasons[shed.ReasonCustom] = 99
	st.ByPriority[2].Reasons[shed.ReasonCustom] = 99
	if again := s.Stats(); again.Reasons[shed.ReasonCustom] != 1 || again.ByPriority[2].Reasons[shed.ReasonCustom] != 1 {
		t.Errorf("changed from outside: %v", again.Reasons)
	}
}

func metrics(s handrail.Source) (all []handrail.Metric) {
	s.Collect(func(m handrail.Metric) { all = append(all, m) })
	return all
}

func TestMetricsFollowTheConventions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, trusting(shed.WithName("front"), fixed(1), shed.WithMaxWait(0))...)
		var _ handrail.Source = s
		h := s.Wrap(desk)
		idleSeries := series(metrics(s))
		c := settled(h)
		get(h)
		all := metrics(s)
		finish([]*call{c})
		type shape struct {
			help   string
			kind   handrail.MetricKind
			labels string
		}
		shapes, ids := map[string]shape{}, map[string]bool{}
		for _, m := range all {
			if !regexp.MustCompile(`^handrail_shed(_[a-z]+)+$`).MatchString(m.Name) {
				t.Errorf("%s: not a name", m.Name)
			}
			if total := strings.HasSuffix(m.Name, "_total"); total != (m.Kind == handrail.Counter) {
				t.Errorf("%s is a %v", m.Name, m.Kind)
			}
			if !strings.HasSuffix(m.Help, ".") || len(m.Help) < 10 {
				t.Errorf("%s: help %q", m.Name, m.Help)
			}
			if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
				t.Errorf("%s is %v", m.Name, m.Value)
			}
			var labels []string
			for _, l := range m.Labels {
				labels = append(labels, l.Name)
				if !regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(l.Name) {
					t.Errorf("%s: label %q", m.Name, l.Name)
				}
			}
			if !slices.Contains(m.Labels, handrail.Label{Name: "name", Value: "front"}) {
				t.Errorf("%s does not name the instance", m.Name)
			}
			this := shape{m.Help, m.Kind, strings.Join(labels, ",")}
			if first, ok := shapes[m.Name]; ok && first != this {
				t.Errorf("%s is %+v and %+v", m.Name, first, this)
			}
			shapes[m.Name] = this
			if ids[id(m)] {
				t.Errorf("%s is there twice", id(m))
			}
			ids[id(m)] = true
		}
		// A series that appears only with its first event has no rate.
		if busy := series(all); !slices.Equal(idleSeries, busy) {
			t.Errorf("idle there are %d series, busy %d", len(idleSeries), len(busy))
		}
	})
}

func id(m handrail.Metric) string {
	name := m.Name
	for _, l := range m.Labels {
		name += " " + l.Name + "=" + l.Value
	}
	return name
}

func series(all []handrail.Metric) (ids []string) {
	for _, m := range all {
		ids = append(ids, id(m))
	}
	slices.Sort(ids)
	return ids
}

func TestMetricsTellWhatTheStatisticsTell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, trusting(shed.WithName("front"), fixed(1))...)
		h := s.Wrap(desk)
		c := settled(h, classHeader, "high")
		gone, waiting := settled(h), settled(h, classHeader, "low")
		gone.cancel()
		synctest.Wait()
		must(t, s.Update(shed.WithMaxWait(0)))
		get(h, classHeader, "low")
		golden.Metrics(t, "testdata/metrics.golden", s)
		golden.Manual(t, s)
		values := map[string]float64{}
		for _, m := range metrics(s) {
			values[strings.TrimPrefix(id(m), "handrail_shed_")] = m.Value
		}
		for series, want := range map[string]float64{
			"in_flight_requests name=front":                                      1,
			"waiting_requests name=front":                                        1,
			"long_lived_requests name=front":                                     0,
			"limit_requests name=front":                                          1,
			"admitted_requests_total name=front priority=high":                   1,
			"admitted_requests_total name=front priority=low":                    0,
			"refused_requests_total name=front priority=low reason=limit":        1,
			"refused_requests_total name=front priority=normal reason=limit":     0,
			"refused_requests_total name=front priority=critical reason=circuit": 0,
			"gone_requests_total name=front":                                     1,
			"circuit_state name=front":                                           0,
			"dropped_events_total name=front":                                    0,
		} {
			if got, ok := values[series]; !ok || got != want {
				t.Errorf("%s is %v (there: %t), want %v", series, got, ok, want)
			}
		}
		finish([]*call{c})
		time.Sleep(time.Second)
		finish([]*call{waiting})
		empty(t, s)
	})
}

func TestEventsTellWhoWasRefusedAndWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var events []shed.Event
		s := shedder(t, trusting(shed.WithName("front"), never(), shed.OnShed(func(e shed.Event) { events = append(events, e) }))...)
		mux := http.NewServeMux()
		mux.Handle("GET /items/{id}", s.Wrap(noop))
		r := request(classHeader, "high")
		r.URL.Path = "/items/7"
		mux.ServeHTTP(&nullWriter{http.Header{}}, r)
		time.Sleep(time.Second)
		get(s.Wrap(noop))
		synctest.Wait()
		want := []shed.Event{
			{Name: "front", Priority: handrail.High, Reason: shed.ReasonCustom, Method: "GET", Pattern: "GET /items/{id}", At: time.Now().Add(-time.Second)},
			{Name: "front", Priority: handrail.Normal, Reason: shed.ReasonCustom, Method: "GET", At: time.Now()},
		}
		for i := range events {
			if !events[i].At.Equal(want[i].At) {
				t.Errorf("event %d at %v", i, events[i].At)
			}
			events[i].At, want[i].At = time.Time{}, time.Time{}
		}
		if !slices.Equal(events, want) {
			t.Errorf("told\n%+v, want\n%+v", events, want)
		}
	})
}
