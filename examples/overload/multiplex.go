package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"
)

// multiplexed sends requests as streams of shared HTTP/2 connections.
type multiplexed struct {
	ctx       context.Context
	transport *http.Transport
	requests  *[kinds]*http.Request
}

// newMultiplexer returns what opens streams to addr, over cleartext HTTP/2,
// and what closes its connections.
func newMultiplexer(addr string) (connect connector, end func()) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, DisableCompression: true}
	var all [kinds]*http.Request
	for k := range allKinds {
		r, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			panic(err) // the listener made the address
		}
		r.Header.Set(priorityHeader, k.className())
		r.Header.Set(tenantHeader, k.tenantName())
		all[k] = r
	}
	return func(ctx context.Context) connection {
		return &multiplexed{ctx: ctx, transport: transport, requests: &all}
	}, transport.CloseIdleConnections
}

func (m *multiplexed) do(k kind, giveUp time.Time) (int, error) {
	ctx, cancel := context.WithDeadline(m.ctx, giveUp)
	defer cancel()
	res, err := m.transport.RoundTrip(m.requests[k].WithContext(ctx))
	if err == nil {
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = os.ErrDeadlineExceeded
		}
		return 0, err
	}
	return res.StatusCode, nil
}

func (m *multiplexed) close() {}
