package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// alone is one package, alone.
type alone struct {
	name, try string
	serve     func(out io.Writer) (http.Handler, error)
}

var examples = []alone{
	{"shed", "seq 500 | xargs -P 250 -I{} curl -s -o /dev/null -w '%{http_code}\\n' http://ADDRESS/suggestions | sort | uniq -c", handler(shedAlone)},
	{"timeout", "curl -i http://ADDRESS/stuck", handler(timeoutAlone)},
	{"breaker", "for i in 1 2 3 4 5 6; do curl -i http://ADDRESS/; done", handler(breakerAlone)},
	{"bulkhead", "for i in 1 2 3 4; do curl -i -H 'X-Tenant: a' http://ADDRESS/ & done; wait", handler(bulkheadAlone)},
	{"retry", "curl -i http://ADDRESS/", handler(retryAlone)},
	{"observe", "curl -i http://ADDRESS/hello/you", observeAlone},
	{"health", "curl -i http://ADDRESS/readyz?verbose", func(io.Writer) (http.Handler, error) { return healthAlone() }},
	{"rollout", "for i in 1 2 3 4 5 6; do curl -i http://ADDRESS/; done; curl http://ADDRESS/admin/spared; curl -d '' http://ADDRESS/admin/enforce", func(io.Writer) (http.Handler, error) { return rolloutAlone() }},
}

func handler(h func() http.Handler) func(io.Writer) (http.Handler, error) {
	return func(io.Writer) (http.Handler, error) { return h(), nil }
}

// respond answers with a text after so long, unless nobody waits for it any more.
func respond(text string, after time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(after):
			io.WriteString(w, text)
		case <-r.Context().Done():
		}
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for anything
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		log.Fatal("single: ", err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("single", flag.ContinueOnError)
	flags.SetOutput(out)
	listen := flags.String("listen", "localhost:8080", "`address` to listen on")
	if len(args) == 0 {
		return errors.New("say which package, such as: go run ./examples/single shed")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "sim" {
		return simAlone(out)
	}
	i := slices.IndexFunc(examples, func(e alone) bool { return e.name == args[0] })
	if i < 0 {
		return fmt.Errorf("there is no example %q", args[0])
	}
	h, err := examples[i].serve(out)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(ln) }()
	fmt.Fprintf(out, "serving on http://%v, try:\n\t%s\n", ln.Addr(), strings.ReplaceAll(examples[i].try, "ADDRESS", ln.Addr().String()))
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
