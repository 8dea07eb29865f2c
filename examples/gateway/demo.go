package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// upstreams are the instances that the demonstration shows.
type upstreams struct {
	urls    []*url.URL
	names   []string
	servers []*http.Server
}

// openUpstreams serves two instances on free ports of this machine. The first
// always answers, the second is down at the end of each period.
func openUpstreams(every, down time.Duration) (*upstreams, error) {
	began := time.Now()
	all := &upstreams{}
	for _, each := range []struct {
		name string
		down func() bool
	}{
		{"steady", func() bool { return false }},
		{"shaky", func() bool { return time.Since(began)%every >= every-down }},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if each.down() {
				http.Error(w, "no database", http.StatusInternalServerError)
				return
			}
			fmt.Fprintf(w, "a page from %s for %q\n", each.name, r.Header.Get("X-Tenant"))
		})}
		go server.Serve(ln)
		all.urls = append(all.urls, &url.URL{Scheme: "http", Host: ln.Addr().String()})
		all.names = append(all.names, each.name)
		all.servers = append(all.servers, server)
	}
	return all, nil
}

// Close ends them.
func (u *upstreams) Close() error {
	var errs []error
	for _, s := range u.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// clients ask for pages, whether or not earlier ones were answered.
type clients struct {
	all    sync.WaitGroup
	cancel context.CancelFunc
	client http.Client
}

// newClients asks at address for fifty pages a second, on behalf of two tenants
// and of nobody.
func newClients(address string) *clients {
	ctx, cancel := context.WithCancel(context.Background())
	c := &clients{cancel: cancel, client: http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
	c.all.Go(func() {
		tick := time.NewTicker(time.Second / 50)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
				c.all.Go(func() { c.ask(ctx, address, [...]string{"alpha", "beta", ""}[i%3]) })
			case <-ctx.Done():
				return
			}
		}
	})
	return c
}

func (c *clients) ask(ctx context.Context, address, key string) {
	req, err := http.NewRequestWithContext(ctx, "GET", address+"/page", nil)
	if err != nil {
		return
	}
	req.Header.Set("X-Api-Key", key)
	resp, err := c.client.Do(req)
	if err != nil {
		return // the gateway counts it, or is gone
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
}

// stop ends them.
func (c *clients) stop() {
	c.cancel()
	c.all.Wait()
	c.client.CloseIdleConnections()
}
