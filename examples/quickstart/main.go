package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/handrail-go/handrail/observe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for anything
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done, and then drains. Lines go to out.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "`address` of the service")
	admin := flags.String("admin", "localhost:9090", "`address` of metrics and live page")
	drain := flags.Duration("drain", 5*time.Second, "how long to serve on after readiness has failed")
	flaky := flags.Float64("flaky", 0.1, "`share` of the warehouse's answers that fail")
	if err := flags.Parse(args); err != nil {
		return err
	}

	warehouse, err := openWarehouse(*flaky)
	if err != nil {
		return err
	}
	defer warehouse.Close()

	lines := observe.NewJSONHandler(out, nil)
	logger := slog.New(observe.LogHandler(lines))
	service := newService(warehouse.URL, logger)
	s, err := newStack(ctx, service, settings{
		lines: lines, logger: logger, drain: *drain, warehouse: warehouse.URL,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	server, err := s.server()
	if err != nil {
		return err
	}
	inside := &http.Server{Handler: s.admin(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 2)
	for _, each := range []struct {
		name, address string
		server        *http.Server
	}{{"orders", *listen, server}, {"admin", *admin, inside}} {
		ln, err := net.Listen("tcp", each.address)
		if err != nil {
			return errors.Join(err, server.Close())
		}
		logger.Info("serving", "server", each.name, "address", ln.Addr().String())
		go func() { failed <- each.server.Serve(ln) }()
	}

	select {
	case err := <-failed:
		return errors.Join(err, server.Close(), inside.Close())
	case <-ctx.Done():
	}
	logger.Info("draining", "for", drain.String())
	// Less than what Kubernetes leaves by default, 30 s, before it kills.
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	return s.health.Shutdown(ctx, server, inside) // what shows the metrics last
}
