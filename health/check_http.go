package health

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxDrained is how much of a body is read.
const maxDrained = 64 << 10

// HTTP gets a URL and wants a status of 2xx. It follows no redirect, sends no
// cookie, and reads 64 KiB of the body at most. A nil client is one that opens a
// connection for each run; of a given one the transport is used.
func HTTP(client *http.Client, address string) Check {
	c := Check{}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		c.fault("HTTP", address, "must be a URL of http or https")
		return c
	}
	own := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if client != nil {
		own.Transport = client.Transport
	} else {
		own.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxDrained}
	}
	c.run = func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		r.Header.Set("User-Agent", "handrail-health")
		resp, err := own.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrained))
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return fmt.Errorf("GET %s: %d %s", u.Redacted(), resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		return nil
	}
	return c
}
