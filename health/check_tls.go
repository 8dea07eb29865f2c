package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// When Certificate should warn and fail, where certificates are renewed a month
// before they expire.
const (
	CertificateWarn = 21 * 24 * time.Hour
	CertificateFail = 3 * 24 * time.Hour
)

// Certificate makes a TLS handshake with an address, host:port, and fails where
// that does: the certificate is expired, of an unknown authority or another
// name. It warns and fails when a certificate of the chain expires within these
// times, of which 0 is never; CertificateWarn and CertificateFail are good ones.
// A nil config is one that trusts the authorities of the system; of a given one
// with InsecureSkipVerify only the first certificate is looked at. It runs once
// a minute, with a timeout of 10 s, unless options say otherwise.
func Certificate(address string, config *tls.Config, warn, fail time.Duration) Check {
	c := Check{usual: []CheckOption{Every(time.Minute), Timeout(10 * time.Second)}}
	c.address("Certificate", address)
	if warn < 0 || fail < 0 || warn > 0 && fail > warn {
		c.fault("Certificate", [2]time.Duration{warn, fail}, "must not be below 0, and not fail before it warns")
	}
	dialer := &tls.Dialer{Config: config.Clone()}
	c.run = func(ctx context.Context) error {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		state := conn.(*tls.Conn).ConnectionState()
		leaf := expiry(&state)
		if leaf == nil {
			return fmt.Errorf("%s showed no certificate", address)
		}
		left := time.Until(leaf.NotAfter)
		Observe(ctx, "expiry", left.Hours()/24, "d")
		err = fmt.Errorf("the certificate of %.256q expires in %v, at %s", leaf.Subject.CommonName, left.Round(time.Minute), leaf.NotAfter.UTC().Format(time.RFC3339))
		switch {
		case left <= fail || left <= 0:
			return err
		case left <= warn:
			return Warning(err)
		}
		return nil
	}
	return c
}

// expiry returns the certificate that ends the trust in a chain first; of
// several chains, that of the one which lasts longest.
func expiry(state *tls.ConnectionState) (ends *x509.Certificate) {
	for _, chain := range state.VerifiedChains {
		first := chain[0]
		for _, c := range chain {
			if c.NotAfter.Before(first.NotAfter) {
				first = c
			}
		}
		if ends == nil || first.NotAfter.After(ends.NotAfter) {
			ends = first
		}
	}
	if ends == nil && len(state.PeerCertificates) > 0 {
		ends = state.PeerCertificates[0]
	}
	return ends
}
