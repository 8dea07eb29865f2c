package live

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// What is still to be sent when Close comes is not sent any more: a browser that
// takes its time over each message would hold up Close for each of them.
func TestCloseComesBeforeWhatWaitsToBeSent(t *testing.T) {
	h := newHub(nil, time.Second, 1)
	close(h.over)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		v := &viewer{out: make(chan []byte, 4)}
		for len(v.out) < cap(v.out) {
			v.out <- []byte("{}")
		}
		h.serve(conn, v, nil)
	}))
	defer server.Close()
	for range 20 { // as a select of both would be right half of the time
		conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, text, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("the first message after Close is %s (%v)", text, err)
		}
		conn.Close()
	}
}
