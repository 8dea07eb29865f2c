package refuse_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/refuse"
)

var shed = handrail.Rejection{
	Status:  http.StatusServiceUnavailable,
	Code:    "LOAD_SHED",
	Reason:  "queue_full",
	Message: "The service is overloaded.",
	Name:    "checkout",
}

func get() *http.Request { return httptest.NewRequest(http.MethodGet, "/", nil) }

func TestTheBodyIsAProblem(t *testing.T) {
	w := httptest.NewRecorder()
	refuse.New(shed, nil).Write(w, get(), 3*time.Second)
	if w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "about:blank", "title": "Service Unavailable", "status": 503.0,
		"detail": "The service is overloaded.", "code": "LOAD_SHED", "reason": "queue_full", "name": "checkout",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	wantHeader := http.Header{
		"Content-Type":           {"application/problem+json"},
		"Content-Length":         {strconv.Itoa(w.Body.Len())},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
		"Retry-After":            {"3"},
	}
	if !reflect.DeepEqual(w.Header(), wantHeader) {
		t.Errorf("%v, want %v", w.Header(), wantHeader)
	}
}

func TestWhatIsNotSetIsNotSent(t *testing.T) {
	w := httptest.NewRecorder()
	refuse.New(handrail.Rejection{Status: 599}, nil).Write(w, get(), 0)
	if got := w.Body.String(); got != `{"type":"about:blank","status":599}`+"\n" {
		t.Error(got)
	}
	if _, ok := w.Header()["Retry-After"]; ok {
		t.Error("Retry-After is sent")
	}
}

func TestRetryAfterIsInWholeSecondsRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:              "",
		0:                         "",
		1:                         "1",
		time.Second:               "1",
		time.Second + 1:           "2",
		1500 * time.Millisecond:   "2",
		300 * time.Second:         "300",
		300*time.Second + 1:       "301",
		24 * time.Hour:            "86400",
		1<<63 - 1:                 "9223372037",
		(1<<63 - 1) - time.Second: "9223372036",
	} {
		w := httptest.NewRecorder()
		refuse.New(shed, nil).Write(w, get(), d)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestHEADHasTheHeadersOfGET(t *testing.T) {
	p := refuse.New(shed, nil)
	head, get := httptest.NewRecorder(), httptest.NewRecorder()
	p.Write(head, httptest.NewRequest(http.MethodHead, "/", nil), time.Second)
	p.Write(get, httptest.NewRequest(http.MethodGet, "/", nil), time.Second)
	if head.Body.Len() != 0 || head.Code != 503 {
		t.Errorf("status %d, body %q", head.Code, head.Body)
	}
	if !reflect.DeepEqual(head.Header(), get.Header()) {
		t.Errorf("HEAD %v, GET %v", head.Header(), get.Header())
	}
}

func TestHeadersFromOutsideStayUnlessTheyDescribeAnotherResponse(t *testing.T) {
	stay := http.Header{
		"X-Request-Id":                {"42"},
		"Access-Control-Allow-Origin": {"https://example.org"},
		"Vary":                        {"Origin", "Accept-Encoding"},
		"Set-Cookie":                  {"session=1"},
		"Strict-Transport-Security":   {"max-age=1"},
		"Connection":                  {"close"},
	}
	w := httptest.NewRecorder()
	for name, values := range stay {
		w.Header()[name] = values
	}
	for _, name := range []string{
		"Content-Encoding", "Content-Language", "Content-Location", "Content-Disposition", "Content-Range",
		"Content-Digest", "Content-MD5", "Repr-Digest", "Digest", "ETag", "Last-Modified", "Accept-Ranges",
		"Transfer-Encoding", "Expires", "CDN-Cache-Control", "Surrogate-Control", "Retry-After",
		"Content-Length", "Content-Type", "Cache-Control",
	} {
		w.Header().Set(name, "77")
	}
	refuse.New(shed, nil).Write(w, get(), 0)
	for name, values := range stay {
		if got := w.Header()[name]; !reflect.DeepEqual(got, values) {
			t.Errorf("%s: %q, want %q", name, got, values)
		}
	}
	for name, values := range w.Header() {
		for _, value := range values {
			if value == "77" {
				t.Errorf("%s stayed", name)
			}
		}
	}
}

func TestAddingToAHeaderOutsideDoesNotChangeOtherResponses(t *testing.T) {
	p := refuse.New(shed, nil)
	first, second := http.Header{}, http.Header{}
	p.SetHeader(first, time.Second)
	p.SetHeader(second, time.Second)
	for name := range first {
		first.Add(name, "first")
		second.Add(name, "second")
	}
	third := http.Header{}
	p.SetHeader(third, time.Second)
	for name, values := range third {
		if len(values) != 1 || len(first[name]) != 2 || first[name][0] != values[0] || first[name][1] != "first" {
			t.Errorf("%s: %q, first %q, second %q", name, values, first[name], second[name])
		}
	}
}

func TestAHandlerAnswersInstead(t *testing.T) {
	var got handrail.Rejection
	p := refuse.New(shed, func(w http.ResponseWriter, r *http.Request, rejection handrail.Rejection) {
		got = rejection
		w.WriteHeader(http.StatusTeapot)
	})
	w := httptest.NewRecorder()
	p.Write(w, get(), 2*time.Second)
	want := shed
	want.RetryAfter = 2 * time.Second
	if got != want || w.Code != http.StatusTeapot || len(w.Header()) != 0 {
		t.Errorf("%+v, status %d, %v", got, w.Code, w.Header())
	}
	p.Write(w, get(), -1)
	if got.RetryAfter != 0 {
		t.Errorf("RetryAfter %v", got.RetryAfter)
	}
}

func TestThePartsMakeTheWhole(t *testing.T) {
	p := refuse.New(shed, nil)
	whole, parts := httptest.NewRecorder(), httptest.NewRecorder()
	p.Write(whole, get(), time.Second)
	p.SetHeader(parts.Header(), time.Second)
	parts.WriteHeader(p.Status())
	parts.Write(p.Body())
	if !reflect.DeepEqual(whole, parts) {
		t.Errorf("%+v, want %+v", parts, whole)
	}
}

func TestOnlyErrorsRefuse(t *testing.T) {
	for status := -1; status < 1001; status++ {
		valid := status >= 400 && status < 600
		if refuse.ValidStatus(status) != valid {
			t.Errorf("ValidStatus(%d) = %v", status, !valid)
		}
		func() {
			defer func() {
				if (recover() == nil) != valid {
					t.Errorf("New with status %d: panic %v", status, valid)
				}
			}()
			refuse.New(handrail.Rejection{Status: status}, nil)
		}()
	}
}

// bare is a ResponseWriter that costs nothing itself.
type bare struct{ header http.Header }

func (w *bare) Header() http.Header         { return w.header }
func (w *bare) WriteHeader(int)             {}
func (w *bare) Write(p []byte) (int, error) { return len(p), nil }

func TestARefusalDoesNotAllocate(t *testing.T) {
	p := refuse.New(shed, nil)
	w, r := &bare{header: http.Header{}}, get()
	if n := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		p.Write(w, r, 3*time.Second)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTheBodyIsValidJSON(f *testing.F) {
	f.Add(503, "LOAD_SHED", "queue_full", "The service is overloaded.", "checkout")
	f.Add(429, "", "\x00\x1f\u2028", "</script>", `"},{"`)
	f.Add(400, "\xff\xfe", "\xed\xa0\x80", "\\u0000", strings.Repeat("\"", 100))
	f.Fuzz(func(t *testing.T, status int, code, reason, message, name string) {
		if !refuse.ValidStatus(status) {
			return
		}
		w := httptest.NewRecorder()
		refuse.New(handrail.Rejection{Status: status, Code: code, Reason: reason, Message: message, Name: name}, nil).
			Write(w, get(), 0)
		body := w.Body.Bytes()
		if w.Header().Get("Content-Length") != strconv.Itoa(len(body)) || !utf8.Valid(body) {
			t.Errorf("Content-Length %s of %d bytes: %q", w.Header().Get("Content-Length"), len(body), body)
		}
		var got struct {
			Type, Title, Detail, Code, Reason, Name string
			Status                                  int
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v: %q", err, body)
		}
		for _, member := range []struct{ name, got, want string }{
			{"type", got.Type, "about:blank"},
			{"title", got.Title, http.StatusText(status)},
			{"detail", got.Detail, message},
			{"code", got.Code, code},
			{"reason", got.Reason, reason},
			{"name", got.Name, name},
		} {
			if want := string([]rune(member.want)); member.got != want {
				t.Errorf("%s is %q, want %q", member.name, member.got, want)
			}
		}
		if got.Status != status {
			t.Errorf("status %d, want %d", got.Status, status)
		}
	})
}
