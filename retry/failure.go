package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"
)

// passing says that an error of a round trip may not come again: the connection
// could not be made, or broke, before there was an answer. It goes by what
// errors are, not by what they say.
func passing(err error) bool {
	if err == nil || untrusted(err) {
		return false
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound && (dns.IsTemporary || dns.IsTimeout)
	}
	for _, broken := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	// net/http's own timeouts, such as that for the response's header.
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return true
	}
	return brokenHTTP2(err) || closedIdle(err)
}

// closedIdle says that the server closed the connection before the request was
// on it. net/http repeats only what it takes for replayable, which PUT and
// DELETE are not, and does not export the error.
func closedIdle(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if err.Error() == "http: server closed idle connection" {
			return true
		}
	}
	return false
}

// untrusted says that both sides do not agree on how to talk safely, which they
// will not the next time either.
func untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		roots        x509.SystemRootsError
		constraint   x509.ConstraintViolationError
		insecure     x509.InsecureAlgorithmError
		ech          *tls.ECHRejectionError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		errors.As(err, &roots) || errors.As(err, &constraint) || errors.As(err, &insecure) || errors.As(err, &ech)
}

// streamError has the shape that net/http's error of an HTTP/2 stream is handed
// out in.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "HTTP/2 stream error" }

// brokenHTTP2 knows the ends of an HTTP/2 stream and connection that are like
// that of a connection over HTTP/1. net/http does not export their types.
func brokenHTTP2(err error) bool {
	var stream streamError
	if errors.As(err, &stream) {
		switch stream.Code { // see RFC 9113, section 7
		case 0x0, 0x2, 0x7, 0x8: // NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL
			return true
		}
		return false
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasSuffix(reflect.TypeOf(err).Name(), "GoAwayError") {
			return true
		}
	}
	return false
}

// callers says that the caller's own context has ended, and how.
func callers(ctx context.Context) (why Reason, over bool) {
	err := ctx.Err()
	if err == nil {
		return 0, false
	}
	return ended(err), true
}
