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
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for anything
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done, and then drains. What happens goes to stdout, the
// access log and messages to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "localhost:8080", "`address` to listen on")
	drain := flags.Duration("drain", 5*time.Second, "how long to serve on after readiness has failed; none for the demonstration")
	share := flags.Int("share", 16, "how many requests of a tenant may be under way at once")
	every := flags.Duration("every", 10*time.Second, "of the demonstration: one upstream fails once in this time")
	down := flags.Duration("down", 4*time.Second, "of the demonstration: for how long it fails")
	var upstreams []*url.URL
	flags.Func("upstream", "`URL` of an upstream; may be repeated", func(text string) error {
		u, err := url.Parse(text)
		if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "") {
			err = errors.New("want a URL like http://10.0.0.1:8080")
		}
		upstreams = append(upstreams, u)
		return err
	})
	keys := map[string]string{}
	flags.Func("key", "`KEY=TENANT`: who sends X-Api-Key: KEY is TENANT; may be repeated", func(text string) error {
		key, tenant, _ := strings.Cut(text, "=")
		if key == "" || tenant == "" {
			return errors.New("want a key and a name with = between")
		}
		keys[key] = tenant
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}

	set := settings{keys: keys, share: *share, drain: *drain, logger: slog.New(slog.NewTextHandler(stderr, nil))}
	demonstration := len(upstreams) == 0
	var names []string
	if demonstration {
		shown, err := openUpstreams(*every, *down)
		if err != nil {
			return err
		}
		defer shown.Close()
		upstreams, names = shown.urls, shown.names
		set.drain = 0
		keys["alpha"], keys["beta"] = "alpha", "beta"
		set.logger = slog.New(slog.DiscardHandler) // the table tells the same
	}

	g, err := newGateway(upstreams, names, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	server := &http.Server{Handler: g}
	if err := g.timeouts.ConfigureServer(server); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	address := "http://" + ln.Addr().String()
	fmt.Fprintf(stdout, "serving on %s in front of %s\n", address, g.balancer)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()

	told, tell := context.WithCancel(context.Background())
	defer tell()
	reported := make(chan struct{})
	go func() { defer close(reported); g.report(told, stdout) }()
	defer func() { tell(); <-reported }()
	if demonstration {
		c := newClients(address)
		defer c.stop()
	}

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	return g.health.Shutdown(ctx, server)
}
