package main

import (
	"net/http"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

// The headers that carry a request's class and tenant. Here the only client is
// this program's own; see shed.WithPriorityHeader for who may set them.
const (
	priorityHeader = "X-Priority"
	tenantHeader   = "X-Tenant"
)

// protect makes what stands in front of the service in the second run. It is a
// variable so that another protection can be tried in its place.
var protect = func(further ...shed.Option) (func(http.Handler) http.Handler, error) {
	s, err := shed.New(append([]shed.Option{
		shed.WithPriorityHeader(priorityHeader),
		shed.WithTenant(handrail.ByHeader(tenantHeader)),
	}, further...)...)
	if err != nil {
		return nil, err
	}
	return s.Wrap, nil
}
