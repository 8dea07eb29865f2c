package observe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/handrail-go/handrail/observe"
)

// buffer is a writer that may be read meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// take returns what was written, and forgets it.
func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.b.String()
	b.b.Reset()
	return s
}

// lines is an access log, and a function that returns what it has written since.
func lines(t testing.TB, opts ...observe.LogOption) (*observe.AccessLog, func() []map[string]any) {
	t.Helper()
	buf := new(buffer)
	log := accessLog(t, jsonTo(buf), opts...)
	return log, func() []map[string]any {
		t.Helper()
		var all []map[string]any
		for line := range strings.Lines(buf.take()) {
			fields, err := strict(line)
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			all = append(all, fields)
		}
		return all
	}
}

// strict reads one JSON object that is a line, in which no key may come twice.
func strict(line string) (map[string]any, error) {
	text, ok := strings.CutSuffix(line, "\n")
	if !ok || strings.ContainsAny(text, "\n\r") {
		return nil, fmt.Errorf("it is not one line")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("it begins with %v (%v)", t, err)
	}
	fields, err := object(dec)
	if err == nil && dec.More() {
		err = fmt.Errorf("something follows")
	}
	return fields, err
}

func object(dec *json.Decoder) (map[string]any, error) {
	fields := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if _, twice := fields[key.(string)]; twice {
			return nil, fmt.Errorf("%q comes twice", key)
		}
		if fields[key.(string)], err = value(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return fields, err
}

func value(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return object(dec)
	case json.Delim('['):
		var all []any
		for dec.More() {
			v, err := value(dec)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		_, err := dec.Token()
		return all, err
	}
	return t, nil
}

func TestTheReaderOfLinesIsStrict(t *testing.T) {
	for _, bad := range []string{
		`{"a":1}`, "{\"a\":1}\n\n", "{\"a\":1,\"a\":2}\n", "{\"g\":{\"a\":1,\"a\":2}}\n", "{\"g\":[{\"a\":1,\"a\":2}]}\n",
		"{\"a\":1}{\"b\":2}\n", "[1]\n", "{\"a\":\n1}\n", "{\n",
	} {
		if _, err := strict(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if got, err := strict("{\"a\":1,\"g\":{\"a\":[2,{\"a\":3}]}}\n"); err != nil || fmt.Sprint(got) != "map[a:1 g:map[a:[2 map[a:3]]]]" {
		t.Errorf("%v, %v", got, err)
	}
}
