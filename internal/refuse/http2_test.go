package refuse_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/refuse"
)

// Frames of HTTP/2 (RFC 9113, section 6), as far as they are needed here.
const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	frameGoAway   = 7

	flagEndStream  = 1
	flagAck        = 1
	flagEndHeaders = 4
)

// client2 is an HTTP/2 connection of a client that knows no manners.
type client2 struct {
	net.Conn
	t *testing.T
}

func dial2(t *testing.T, addr string) *client2 {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(forever))
	h := &client2{c, t}
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	h.frame(frameSettings, 0, 0, nil)
	return h
}

func (h *client2) frame(kind, flags byte, stream uint32, payload []byte) {
	h.t.Helper()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	frame = append(frame, flags)
	frame = binary.BigEndian.AppendUint32(frame, stream)
	if _, err := h.Write(append(frame, payload...)); err != nil {
		h.t.Fatal(err)
	}
}

// request sends the headers of one. Indices are those of the static table of
// HPACK (RFC 7541, appendix A).
func (h *client2) request(stream uint32, length int) {
	h.t.Helper()
	block := []byte{0x86, 0x84, 0x01, 1, 'x'} // :scheme http, :path /, :authority x
	flags := byte(flagEndHeaders)
	if length == 0 {
		block = append(block, 0x82) // :method GET
		flags |= flagEndStream
	} else {
		digits := strconv.Itoa(length)
		block = append([]byte{0x83}, block...) // :method POST
		block = append(block, 0x0f, 28-15, byte(len(digits)))
		block = append(block, digits...)
	}
	h.frame(frameHeaders, flags, stream, block)
}

// refused reads a refusal on stream. If reset, it waits for the stream to be
// reset without an error as well.
func (h *client2) refused(stream uint32, reset bool) {
	h.t.Helper()
	var body bytes.Buffer
	var headers, ended bool
	for !ended || reset {
		var header [9]byte
		if _, err := io.ReadFull(h, header[:]); err != nil {
			h.t.Fatalf("headers %v, body %q, ended %v: %v", headers, body.Bytes(), ended, err)
		}
		payload := make([]byte, binary.BigEndian.Uint32(header[:])>>8)
		if _, err := io.ReadFull(h, payload); err != nil {
			h.t.Fatal(err)
		}
		kind, flags, on := header[3], header[4], binary.BigEndian.Uint32(header[5:])
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			h.frame(frameSettings, flagAck, 0, nil)
		case kind == frameGoAway:
			h.t.Fatalf("the connection is closed: %q", payload)
		case on != stream:
		case kind == frameHeaders:
			headers = true
			ended = ended || flags&flagEndStream != 0
		case kind == frameData:
			body.Write(payload)
			ended = ended || flags&flagEndStream != 0
		case kind == frameReset:
			if code := binary.BigEndian.Uint32(payload); code != 0 || !ended || !reset {
				h.t.Fatalf("reset with code %d, response ended %v", code, ended)
			}
			reset = false
		}
	}
	var problem struct{ Status int }
	if err := json.Unmarshal(body.Bytes(), &problem); err != nil || problem.Status != 503 || !headers {
		h.t.Errorf("%v: %q", err, body.Bytes())
	}
}

func TestAStalledHTTP2UploadIsRefusedAndItsStreamReset(t *testing.T) {
	s := httptest.NewUnstartedServer(write(refuse.New(shed, nil)))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	h := dial2(t, s.Listener.Addr().String())
	h.request(1, 10_000_000)
	h.refused(1, true)
	h.request(3, 100)
	h.refused(3, true)
	h.request(5, 0)
	h.refused(5, false)
	h.request(7, 5)
	h.refused(7, true)
	h.frame(frameData, flagEndStream, 7, []byte("hello")) // too late, and harmless
	h.request(9, 0)
	h.refused(9, false)
}

func TestARefusalIsReadableInTheMiddleOfALargeHTTP2Upload(t *testing.T) {
	s := httptest.NewUnstartedServer(write(refuse.New(shed, nil)))
	s.EnableHTTP2 = true
	var connections atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	for _, length := range []int64{100 << 20, -1} {
		for range 5 {
			r, err := http.NewRequest(http.MethodPost, s.URL, &zeros{100 << 20})
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if resp.ProtoMajor != 2 {
				t.Fatal(resp.Proto)
			}
			check(t, resp, "POST")
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 10 requests", n)
	}
}
