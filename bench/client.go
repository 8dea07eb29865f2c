package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// client keeps some connections to a server and asks on each for one order
// after the other, the next as soon as the answer to the last is read. It reads
// as little of an answer as it can, because it takes its time from the server.
type client struct {
	connections []*asker
}

func newClient(addr string, connections int) (*client, error) {
	c := &client{}
	for i := range connections {
		a := &asker{addr: addr, ask: fmt.Appendf(nil,
			"GET /orders/%d HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n", i*37%ordersKept)}
		if err := a.dial(); err != nil {
			c.close()
			return nil, err
		}
		c.connections = append(c.connections, a)
	}
	return c, nil
}

func (c *client) close() {
	for _, a := range c.connections {
		a.conn.Close()
	}
}

// answers is what a client got.
type answers struct {
	took time.Duration
	// latencies are in ns, in no order.
	latencies []float64
	// refused were answered with 429 or 503, wrong with anything else but 200.
	refused, wrong int
}

func (a answers) rate() float64 { return float64(len(a.latencies)) / a.took.Seconds() }

// load keeps the server busy for d.
func (c *client) load(d time.Duration) (answers, error) {
	began := time.Now()
	until := began.Add(d)
	all := make([]answers, len(c.connections))
	faults := make([]error, len(c.connections))
	var done sync.WaitGroup
	for i, a := range c.connections {
		done.Go(func() { all[i], faults[i] = a.load(until) })
	}
	done.Wait()
	sum := answers{took: time.Since(began)}
	for i, one := range all {
		if faults[i] != nil {
			return sum, faults[i]
		}
		sum.latencies = append(sum.latencies, one.latencies...)
		sum.refused += one.refused
		sum.wrong += one.wrong
	}
	return sum, nil
}

// asker is one connection.
type asker struct {
	addr string
	ask  []byte
	conn net.Conn
	in   *bufio.Reader
}

func (a *asker) dial() error {
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		return err
	}
	a.conn, a.in = conn, bufio.NewReader(conn)
	return nil
}

func (a *asker) load(until time.Time) (answers, error) {
	var got answers
	for now := time.Now(); now.Before(until); {
		status, closes, err := a.once()
		if err != nil {
			return got, err
		}
		answered := time.Now()
		got.latencies = append(got.latencies, float64(answered.Sub(now)))
		now = answered
		switch status {
		case 200:
		case 429, 503:
			got.refused++
		default:
			got.wrong++
		}
		if closes {
			a.conn.Close()
			if err := a.dial(); err != nil {
				return got, err
			}
		}
	}
	return got, nil
}

// once asks and reads the answer.
func (a *asker) once() (status int, closes bool, err error) {
	if _, err := a.conn.Write(a.ask); err != nil {
		return 0, false, err
	}
	first, err := a.in.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(first) < len("HTTP/1.1 200") {
		return 0, false, fmt.Errorf("answer begins with %q", first)
	}
	if status, err = strconv.Atoi(string(first[9:12])); err != nil {
		return 0, false, err
	}
	length := -1
	for {
		field, err := a.in.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(field) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(field, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, false, err
			}
		} else if bytes.HasPrefix(field, []byte("Connection: close")) {
			closes = true
		}
	}
	if length < 0 {
		return 0, false, fmt.Errorf("answer without Content-Length")
	}
	_, err = a.in.Discard(length)
	return status, closes, err
}
