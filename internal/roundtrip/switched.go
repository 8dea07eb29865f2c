package roundtrip

import (
	"io"
	"net/http"
)

// Connection is what a response 101 leaves to its caller (RFC 9110, section
// 15.2.2): its body, which can be written to. It is nil for any other response.
func Connection(resp *http.Response) io.ReadWriteCloser {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	conn, _ := resp.Body.(io.ReadWriteCloser)
	return conn
}

// CloseWrite ends the sending side of a connection only, where it can: that is
// how [net/http/httputil.ReverseProxy] passes on that a client has sent all.
// Elsewhere the error is [http.ErrNotSupported].
func CloseWrite(conn io.Writer) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return http.ErrNotSupported
}
