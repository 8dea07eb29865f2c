package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// newTarget forwards to a service of the user's own. Its connections are not
// bounded: what the service does under overload is what is to be seen.
func newTarget(u *url.URL) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = maxServerConns
	transport.IdleConnTimeout = time.Minute
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to := *u // whatever was asked of the proxy
			r.Out.URL, r.Out.Host = &to, ""
			r.SetXForwarded()
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}
