package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// script is a check that gives these results in turn, and the last for ever:
// "p", "w" or "f".
func script(results string) func(context.Context) error {
	i := 0
	return func(context.Context) error {
		r := results[min(i, len(results)-1)]
		i++
		switch r {
		case 'f':
			return errDown
		case 'w':
			return Warning(errDown)
		}
		return nil
	}
}

func TestAStatusMovesAfterEnoughResultsInARow(t *testing.T) {
	for _, c := range []struct {
		opts          []CheckOption
		results, want string // u, p, w, f after each result
	}{
		{nil, "fffpfffp", "uufpppfp"},
		{nil, "pffpfff", "ppppppf"},
		{[]CheckOption{FailAfter(1)}, "pfpf", "pfpf"},
		{[]CheckOption{FailAfter(2), PassAfter(3)}, "pppfppfffppfppp", "uupppppfffffffp"},
		{[]CheckOption{FailAfter(2)}, "pwwp", "ppwp"},
		{[]CheckOption{FailAfter(2)}, "pwfff", "ppwwf"}, // of a warning and a failure the milder
		{[]CheckOption{PassAfter(2)}, "ffffwp", "uufffw"},
		{[]CheckOption{Degrading()}, "fffp", "uuwp"},
		{[]CheckOption{Initially(Pass)}, "fffp", "ppfp"},
		{[]CheckOption{Initially(Fail), PassAfter(2)}, "pp", "fp"},
		{[]CheckOption{GracePeriod(35 * time.Second)}, "ffffffff", "uuuuuuff"},
		{[]CheckOption{GracePeriod(35 * time.Second)}, "pfffffff", "ppppppff"},
	} {
		t.Run(c.results, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := made(t, steady, WithCheck("db", script(c.results), c.opts...))
				got := ""
				for range c.results {
					synctest.Wait()
					got += h.Stats().Checks[0].Status.String()[:1]
					time.Sleep(10 * time.Second)
				}
				if got != c.want {
					t.Errorf("%s came to %s, want %s", c.results, got, c.want)
				}
			})
		})
	}
}

func TestBeforeTheFirstResultAnInstanceIsLiveAndNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		h := made(t, steady, WithCheck("both", wait, In(Live|Ready)), WithCheck("start", wait, In(Startup)), WithCheck("cache", wait, Degrading()))
		says(t, h, "/livez?verbose", 200, "[+]both ok\nlivez check passed\n")
		says(t, h, "/readyz", 503, "[-]both failed: reason withheld\n[!]cache degraded: reason withheld\n[+]shutdown ok\nreadyz check failed\n")
		says(t, h, "/startupz", 503, "[-]start failed: reason withheld\nstartupz check failed\n")
		has(t, h, "/healthz", 503, "[-]both failed: reason withheld\n[-]start failed")
		none := made(t)
		for _, path := range []string{"/livez", "/readyz", "/startupz", "/healthz", "/elsewhere"} {
			says(t, none, path, 200, "ok")
		}
	})
}

func TestStartupPassesOnceEachCheckHasAndStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		h := made(t, steady, WithCheck("migrations", func(context.Context) error {
			if runs++; runs < 4 {
				return errDown
			}
			return nil
		}, In(Startup)), WithCheck("cache", script("fpffff"), In(Startup|Ready)))
		for range 3 {
			synctest.Wait()
			has(t, h, "/startupz", 503, "[-]migrations failed")
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		says(t, h, "/startupz", 200, "ok")
		time.Sleep(time.Hour)
		synctest.Wait()
		says(t, h, "/startupz", 200, "ok")
		has(t, h, "/readyz", 503, "[-]cache failed")
		synctest.Wait()
		if runs != 4 {
			t.Errorf("a check of startup ran %d times, which had passed at the fourth", runs)
		}
		if err := h.Add("late", Func(failing), In(Startup)); err != nil {
			t.Fatal(err)
		}
		says(t, h, "/startupz", 200, "ok")
	})
}

func TestADegradedInstanceIsReadyUnlessAnOptionSaysOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := WithCheck("cache", func(context.Context) error { return fmt.Errorf("wrapped: %w", Warning(errDown)) }, In(All))
		h, strict := made(t, steady, check), made(t, steady, check, WithReadyOnDegraded(false))
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
		says(t, h, "/readyz?verbose", 200, "[!]cache degraded: reason withheld\n[+]shutdown ok\nreadyz check passed\n")
		says(t, strict, "/readyz", 503, "[!]cache degraded: reason withheld\n[+]shutdown ok\nreadyz check failed\n")
		has(t, strict, "/healthz", 503, "")
		says(t, strict, "/livez", 200, "ok")
		if s := h.Stats(); s.Ready != Warn || s.Live != Warn || s.Checks[0].Warnings != 1 || !errors.Is(s.Checks[0].Err, errDown) {
			t.Errorf("%+v", s)
		}
	})
}

func TestTransitionsAreToldOnceInOrderAndTheCallbackMayCallBackIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *Health
		var told []string
		block := make(chan struct{})
		ready := make(chan struct{})
		h = made(t, WithName("shop"), steady, WithCheck("db", script("pfffp"), In(Live|Ready)), OnChange(func(e Transition) {
			<-ready
			h.Stats()
			get(h, "/readyz?verbose")
			told = append(told, fmt.Sprint(e.Name, "/", e.Check, "/", e.Group, " ", e.From, "→", e.To, " ", e.Err))
			if len(told) == 4 {
				<-block // which holds up nothing
			}
			if len(told) == 5 {
				panic("on purpose")
			}
		}))
		close(ready)
		time.Sleep(31 * time.Second)
		says(t, h, "/readyz", 503, "[-]db failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n")
		time.Sleep(time.Minute)
		says(t, h, "/readyz", 200, "ok")
		close(block)
		synctest.Wait()
		want := []string{
			"shop/db/live+ready unknown→pass <nil>", "shop//ready fail→pass <nil>",
			"shop/db/live+ready pass→fail connection refused", "shop//live pass→fail <nil>", "shop//ready pass→fail <nil>",
			"shop/db/live+ready fail→pass <nil>", "shop//live fail→pass <nil>", "shop//ready fail→pass <nil>",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}
