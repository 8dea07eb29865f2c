package health

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/golden"
)

func TestMetricsTellWhatTheStatisticsTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		h := made(t, WithName("shop"), steady,
			WithCheck("db", script("pfff")), WithCheck("cache", script("w"), Degrading()),
			WithCheck("stuck", func(context.Context) error { <-hang; return nil }, In(Live)),
			WithCheck("crash", func(context.Context) error { panic("on purpose") }, Degrading()),
			WithCheck("timed", func(ctx context.Context) error {
				Observe(ctx, "utilization", 7, "percent")
				time.Sleep(time.Second)
				return nil
			}, In(Live)))
		time.Sleep(35 * time.Second)
		synctest.Wait()
		s := h.Stats()
		at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		db, stuck, crash, timed := s.Checks[0], s.Checks[2], s.Checks[3], s.Checks[4]
		if s.Name != "shop" || s.Ready != Fail || s.Live != Fail || s.Startup != Pass || s.Draining || s.DroppedEvents != 0 {
			t.Errorf("%+v", s)
		}
		if db.Runs != 4 || db.Passes != 1 || db.Failures != 3 || db.Transitions != 2 || !db.LastSuccess.Equal(at) || !db.LastResult.Equal(at.Add(30*time.Second)) || db.Err != errDown || db.Groups != Ready {
			t.Errorf("%+v", db)
		}
		if stuck.Runs != 1 || stuck.Failures != 4 || stuck.Timeouts != 4 || !stuck.Stuck || !stuck.Stale || !stuck.LastSuccess.IsZero() {
			t.Errorf("%+v", stuck)
		}
		if crash.Panics != 4 || crash.Failures != 4 || crash.Status != Warn {
			t.Errorf("%+v", crash)
		}
		if timed.LastDuration != time.Second || !reflect.DeepEqual(timed.Observations, []Observation{{"utilization", 7, "percent"}}) {
			t.Errorf("%+v", timed)
		}

		golden.Manual(t, h)
		got := map[string]float64{}
		help := map[string]string{}
		h.Collect(func(m handrail.Metric) {
			key := m.Name[len("handrail_health_"):]
			for _, l := range m.Labels {
				key += " " + l.Value
			}
			if _, twice := got[key]; twice {
				t.Errorf("%s is told twice", key)
			}
			got[key] = m.Value
			var names []string
			for _, l := range m.Labels {
				names = append(names, l.Name)
			}
			if is := fmt.Sprint(m.Help, m.Kind, names); help[m.Name] == "" {
				help[m.Name] = is
			} else if help[m.Name] != is {
				t.Errorf("%s: %s and %s", m.Name, is, help[m.Name])
			}
		})
		for key, want := range map[string]float64{
			"status shop ready fail": 1, "status shop ready pass": 0, "status shop live fail": 1, "status shop startup pass": 1,
			"draining shop":             0,
			"check_status shop db fail": 1, "check_status shop db pass": 0, "check_status shop db unknown": 0, "check_status shop cache warn": 1,
			"check_stuck shop stuck": 1, "check_stuck shop db": 0,
			"check_duration_seconds shop timed":               1,
			"check_last_success_timestamp_seconds shop db":    float64(at.Unix()),
			"check_last_success_timestamp_seconds shop cache": float64(at.Add(30 * time.Second).Unix()),
			"check_transitions_total shop db":                 2, "check_runs_total shop stuck": 1,
			"check_results_total shop db fail": 3, "check_results_total shop db pass": 1, "check_results_total shop cache warn": 4,
			"dropped_events_total shop": 0,
		} {
			if v, ok := got[key]; !ok || v != want {
				t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
			}
		}
		if _, ok := got["check_last_success_timestamp_seconds shop stuck"]; ok {
			t.Error("a check that never passed tells when")
		}
		h.Drain()
		if !h.Stats().Draining {
			t.Error("not draining")
		}
		close(hang)
		var _ handrail.Source = h
	})
}

func TestWordsAreThoseOfTheField(t *testing.T) {
	var words []string
	for s := Unknown; s <= statuses; s++ {
		words = append(words, s.String())
	}
	if want := []string{"unknown", "pass", "warn", "fail", "unknown"}; !slices.Equal(words, want) {
		t.Errorf("%q", words)
	}
	for g, want := range map[Group]string{0: "none", Live: "live", Ready: "ready", All: "live+ready+startup"} {
		if g.String() != want {
			t.Errorf("%q, want %q", g, want)
		}
	}
	if Warning(nil) != nil {
		t.Error("a warning of nothing")
	}
}
