package health

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// TCP opens a connection to an address, host:port, and closes it.
func TCP(address string) Check {
	c := Check{}
	c.address("TCP", address)
	c.run = func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	return c
}

func (c *Check) address(option, address string) {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		c.fault(option, address, "must be host:port")
	}
}

// DNS looks a name up, with the resolver that dialing uses, and wants an
// address.
func DNS(name string) Check {
	c := Check{kind: "system"}
	if _, err := netip.ParseAddr(name); name == "" || err == nil || len(name) > 254 {
		c.fault("DNS", name, "must be a name, of at most 254 bytes")
	}
	c.run = func(ctx context.Context) error {
		addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err == nil && len(addresses) == 0 {
			err = fmt.Errorf("%s has no address", name)
		}
		return err
	}
	return c
}
