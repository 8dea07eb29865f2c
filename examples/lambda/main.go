package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	f, err := newFunction(context.Background(), os.Stdout, os.Getenv("RATES_URL"))
	if err == nil {
		if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
			lambda.StartWithOptions(f.invoke, lambda.WithEnableSIGTERM(func() {
				// Half a second is left, and there is nobody to tell an error.
				f.close()
				os.Exit(0)
			}))
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = errors.Join(serve(ctx, f, os.Getenv("LISTEN"), os.Stderr), f.close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lambda:", err)
		os.Exit(1)
	}
}

// serve is the function as a server, until ctx is done.
func serve(ctx context.Context, f *function, address string, out io.Writer) error {
	if address == "" {
		address = "localhost:8080"
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.handler}
	if err := f.timeouts.ConfigureServer(server); err != nil {
		return errors.Join(err, ln.Close())
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	fmt.Fprintf(out, "serving on http://%v\n", ln.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
