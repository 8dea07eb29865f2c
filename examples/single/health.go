package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/handrail-go/handrail/health"
)

// healthAlone answers /healthz, /livez, /readyz and /startupz from checks that
// run in the background. What it can do without is Degrading: when that is
// down, the instance stays in service. How it drains is in examples/quickstart.
func healthAlone() (http.Handler, error) {
	h, err := health.New(
		health.WithCheck("database", func(ctx context.Context) error { return nil }),
		health.WithCheck("mail", func(ctx context.Context) error {
			return errors.New("connection refused")
		}, health.Degrading(), health.FailAfter(1)),
	)
	if err != nil {
		return nil, err
	}
	return h.Wrap(respond("hello\n", 0)), nil
}
