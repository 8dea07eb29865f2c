package observe

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// source makes values of bytes, and zeros when there are none left.
type source struct{ b []byte }

func (s *source) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *source) uint64() uint64 {
	var all [8]byte
	s.b = s.b[copy(all[:], s.b):]
	return binary.LittleEndian.Uint64(all[:])
}

func (s *source) string() string {
	n := min(int(s.byte()), len(s.b))
	text := string(s.b[:n])
	s.b = s.b[n:]
	return text
}

func (s *source) time() time.Time {
	at := time.Unix(int64(s.uint64()), int64(s.uint64()%2e9))
	switch zone := s.byte(); zone % 3 {
	case 1:
		return at.UTC()
	case 2:
		return at.In(time.FixedZone("", int(int16(s.uint64()))))
	}
	return at
}

func (s *source) attrs(depth int) (attrs []slog.Attr) {
	for range s.byte() % 6 {
		attrs = append(attrs, slog.Attr{Key: s.string(), Value: s.value(depth)})
	}
	return attrs
}

// value makes a value of one of the kinds that are written here, or one of
// those that only slog knows.
func (s *source) value(depth int) slog.Value {
	switch kind := s.byte(); kind % 24 {
	case 0, 1, 2:
		return slog.StringValue(s.string())
	case 3, 4:
		return slog.Int64Value(int64(s.uint64()))
	case 5:
		return slog.Uint64Value(s.uint64())
	case 6, 7:
		return slog.Float64Value(math.Float64frombits(s.uint64()))
	case 8:
		return slog.Float64Value(float64(int16(s.uint64())) / 100)
	case 9:
		return slog.BoolValue(s.byte()%2 == 0)
	case 10:
		return slog.DurationValue(time.Duration(s.uint64()))
	case 11, 12:
		return slog.TimeValue(s.time())
	case 13, 14, 15, 16:
		if depth == 0 {
			return slog.StringValue("enough")
		}
		return slog.GroupValue(s.attrs(depth - 1)...)
	case 17:
		return slog.AnyValue([]byte(s.string()))
	case 18:
		return slog.AnyValue(errors.New(s.string()))
	case 19:
		if depth == 0 {
			return slog.StringValue("enough")
		}
		return slog.AnyValue(valuer{s.value(depth - 1)})
	case 20:
		return slog.AnyValue(marshaler{s.string(), int(s.byte()) % 3})
	case 21:
		return slog.AnyValue(map[string]any{s.string(): s.byte(), "b": []string{s.string()}})
	case 22:
		return slog.AnyValue((*url.URL)(nil))
	case 23:
		return slog.AnyValue(&slog.Source{Function: s.string()})
	}
	return slog.Value{}
}

// valuer tells its value when it is asked.
type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

// marshaler may write anything, fail or panic.
type marshaler struct {
	text string
	how  int
}

func (m marshaler) MarshalJSON() ([]byte, error) {
	switch m.how {
	case 0:
		return []byte(m.text), nil
	case 1:
		return nil, errors.New(m.text)
	}
	panic(m.text)
}

// FuzzALineIsSlogs writes lines here, and with slog alone. They must be the same
// bytes.
func FuzzALineIsSlogs(f *testing.F) {
	odd := "a\"b\\c\n\r\t\b\f\x00\x1f\x7f<&>é\u0085\u2027\u2028\u2029\ufffd\U0001f600\xff\xc3 and more\x80"
	f.Add("/orders/7", "Mozilla/5.0", "orders", uint16(200), int64(12_345_678), int64(1e9), int64(1_700_000_000), int64(120_000), byte(0), []byte{})
	f.Add(odd, odd, odd, uint16(503), int64(-1), int64(1<<53), int64(0), int64(999_999_999), byte(1), []byte(odd))
	f.Add("", "", "", uint16(0), int64(0), int64(-5), int64(-62_135_596_800), int64(0), byte(2), []byte{5, 1, 'a', 6, 1, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 13, 2, 0, 3})
	f.Add("/", "x", "y", uint16(404), int64(math.MaxInt64), int64(math.MaxInt64), int64(253_402_300_799), int64(1), byte(3), []byte{4, 1, 'a', 13, 3, 1, 'b', 17, 0, 1, 'c', 19, 0, 0})
	for i := range 64 {
		more := make([]byte, 200)
		for j := range more {
			more[j] = byte(i*j*j + i + j*7)
		}
		f.Add(odd[:i%len(odd)], "agent", "route", uint16(i), int64(i)*999_983, int64(i), int64(i)<<30, int64(i)*101_010_101%1e9, byte(i*37), more)
	}
	f.Fuzz(func(t *testing.T, path, agent, text string, status uint16, d, bytesOut, unix, nano int64, how byte, more []byte) {
		s := &source{more}
		with := func(h slog.Handler) slog.Handler {
			s := &source{more}
			for i := range int(how % 4) {
				if (how>>2+byte(i))%2 == 0 {
					h = h.WithGroup(s.string())
				} else {
					h = h.WithAttrs(s.attrs(2))
				}
			}
			if how&16 != 0 {
				h = LogHandler(h)
			}
			return h
		}
		level := slog.Level(int8(s.byte()))
		opts := &slog.HandlerOptions{Level: slog.Level(-1000), AddSource: how&32 != 0}
		if how >= 250 {
			opts.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == "duration_ms" {
					return slog.Attr{}
				}
				return a
			}
		}
		logOpts := []LogOption{WithErrorLimit(0, 0), WithRefusals(0), WithHeaders("X-Odd"), WithQuery(), WithServerAddress(),
			WithSchema(Schema(how >> 6 & 1)), WithLevel(func(*Exchange) slog.Level { return level })}
		var ours, slogs bytes.Buffer
		here, err := NewAccessLog(with(NewJSONHandler(&ours, opts)), logOpts...)
		there, err2 := NewAccessLog(with(slog.NewJSONHandler(&slogs, opts)), logOpts...)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if here.to.(*jsonHandler).plain != (here.json != nil) {
			t.Error("it is not written where it could be")
		}
		r := &http.Request{
			Method: text, URL: &url.URL{Path: path, RawQuery: agent}, Host: text, RemoteAddr: text, ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"User-Agent": {agent}, "X-Odd": {path, text}},
		}
		x := &Exchange{
			Request: r, Method: text, Route: path, Status: int(status), RequestBytes: bytesOut, ResponseBytes: bytesOut,
			Duration: time.Duration(d), RequestID: agent, ErrorType: text, LongLived: how&1 != 0,
			Cause: Cause{Outcome: text, Policy: path, Reason: agent},
			Attrs: s.attrs(3),
		}
		if how&2 != 0 {
			x.Panic, x.Stack = errors.New(path), []byte(text)
		}
		if how&8 != 0 {
			x.Trace = TraceIDs{TraceID: [16]byte{1: how}, SpanID: [8]byte{7: how}, Flags: how}
		}
		at := time.Unix(unix, nano)
		for i, began := range []time.Time{at, at.Add(1e5), at.UTC(), at.In(time.FixedZone("", int(int16(unix)))), at.AddDate(9000, 0, 0), {}} {
			for _, log := range []*AccessLog{here, there} {
				y := *x
				y.Began = began
				log.Start(&y)
				log.Observe(&y)
			}
			if ours.String() != slogs.String() {
				t.Fatalf("line %d:\n%q, slog's\n%q", i, &ours, &slogs)
			}
		}
		for _, log := range []*AccessLog{here, there} {
			log.writeRefused(x.Cause, uint64(nano))
			log.writeSuppressed(errorKey{path, text}, level, uint64(d))
		}
		if ours, slogs := untimed(ours.String()), untimed(slogs.String()); ours != slogs {
			t.Fatalf("%q, slog's\n%q", ours, slogs)
		}
		if a, b := here.Stats(), there.Stats(); a != b {
			t.Errorf("%+v, with slog %+v", a, b)
		}
	})
}

// untimed is text with the same time in lines that tell of now.
func untimed(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, `"msg":"`+MessageRequest+`"`) {
			out.WriteString(line)
			continue
		}
		_, rest, _ := strings.Cut(line, `,"level":`)
		out.WriteString(rest)
	}
	return out.String()
}

// A duration is divided by 1000 as a float, and written as encoding/json does.
func FuzzThousandth(f *testing.F) {
	for n := int64(1); n > 0; n *= 7 {
		f.Add(n)
		f.Add(-n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		for _, n := range []int64{n, n % 1e15, n % 1e6, n % 1e4} {
			want, err := json.Marshal(float64(n) / 1000)
			if got := appendThousandth(nil, n); err != nil || string(got) != string(want) {
				t.Errorf("%d is %s, want %s", n, got, want)
			}
		}
	})
}

func TestThousandthsAreTheShortestDecimals(t *testing.T) {
	for n := range int64(400_000) {
		if n > 100_000 {
			n = n*n*7919 + 1 // and some far beyond
		}
		if got, want := string(appendThousandth(nil, n)), string(appendFloat(nil, float64(n)/1000)); got != want {
			t.Fatalf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestEveryByteAtEveryPlaceIsWrittenAsSlogDoes(t *testing.T) {
	var slogs bytes.Buffer
	h := slog.NewJSONHandler(&slogs, nil)
	for c := range 256 {
		for at := range 19 {
			text := []byte("orders/7 and more of")
			text[at] = byte(c)
			slogs.Reset()
			h.Handle(t.Context(), slog.NewRecord(time.Time{}, 0, string(text), 0))
			if got, want := fmt.Sprintf("{\"level\":\"INFO\",\"msg\":%s}\n", appendString(nil, string(text))), slogs.String(); got != want {
				t.Errorf("%q, with slog %q", got, want)
			}
		}
	}
}

func FuzzFloat(f *testing.F) {
	for _, v := range []float64{0, math.Copysign(0, -1), 1, 0.1, 1e-6, 9.99e-7, 1e-7, 1e-10, 5e-324, 1e20, 1e21, 1e22, 1.5e300,
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.Pi, 1 << 53, 1<<53 + 2} {
		f.Add(v)
		f.Add(-v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		want, err := json.Marshal(v)
		if got := appendFloat(nil, v); err != nil || string(got) != string(want) {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	})
}

// What is not known here is left to slog, and nothing else is.
func TestWhatIsWrittenHere(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		v    any
		here bool
	}{
		{"text", true}, {-1, true}, {uint64(1), true}, {1.5, true}, {true, true}, {time.Second, true}, {now, true},
		{slog.GroupValue(slog.Int("a", 1), slog.Group("b", slog.Int("c", 1))), true},
		{math.NaN(), false}, {math.Inf(-1), false}, {now.AddDate(9000, 0, 0), false}, {nil, false}, {errors.New("e"), false},
		{[]byte("x"), false}, {valuer{slog.IntValue(1)}, false}, {slog.GroupValue(), false}, {&slog.Source{}, false},
		{slog.GroupValue(slog.Int("a", 1), slog.Any("b", []int{1})), false}, {slog.GroupValue(slog.Attr{}), false},
	} {
		for _, key := range []string{"key", "", "k\"\n"} {
			out, ok := appendAttr(nil, slog.Any(key, tt.v))
			if ok != tt.here {
				t.Errorf("%v: %t", tt.v, ok)
			}
			if !ok {
				continue
			}
			var slogs bytes.Buffer
			slog.New(slog.NewJSONHandler(&slogs, nil)).LogAttrs(context.Background(), slog.LevelInfo, "", slog.Any(key, tt.v))
			if _, want, _ := strings.Cut(slogs.String(), `"msg":"",`); want != fmt.Sprintf("%s}\n", bytes.TrimSuffix(out, []byte{','})) {
				t.Errorf("%s, with slog %s", out, want)
			}
		}
	}
}
