package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/shed"
)

// serveCommand makes this program the server of the loopback measurement.
const serveCommand = "serve"

// site is one way to serve the orders.
type site struct {
	name    string
	refuses bool
	wrap    func() middleware
}

var sites = []site{
	{name: "bare", wrap: func() middleware { return bare }},
	{name: "whole", wrap: func() middleware { return whole(stack{}) }},
	{name: "shed", refuses: true, wrap: func() middleware {
		return occupied(whole(stack{shed: []shed.Option{shed.WithLimits(1, 1, 1), shed.WithMaxWait(0)}}))
	}},
	{name: "breaker", refuses: true, wrap: func() middleware { return whole(stack{breaker: opened}) }},
	{name: "bulkhead", refuses: true, wrap: func() middleware {
		return occupied(whole(stack{bulkhead: []bulkhead.Option{bulkhead.Basic(1), bulkhead.WithMaxWait(0)}}))
	}},
}

// serve listens once for each site, says where on out, and then answers each
// line on in with the processor time it has used so far, in ns. It collects
// garbage before it answers. It ends when in does.
func serve(in io.Reader, out io.Writer) error {
	for _, s := range sites {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: s.wrap()(orders()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
		go server.Serve(l)
		fmt.Fprintln(out, l.Addr())
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if lines.Text() == settle {
			runtime.GC()
		}
		used, err := processorTime()
		if err != nil {
			return err
		}
		fmt.Fprintln(out, used.Nanoseconds())
	}
	return nil
}

// What the parent may ask.
const (
	settle = "settle"
	used   = "used"
)
