package live

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// patience is how long a viewer may take to accept a message.
	patience = 10 * time.Second
	// silence is how long nothing may come from a viewer, who is asked for a
	// sign of life every third of it.
	silence = 90 * time.Second
)

// The zero CheckOrigin wants the page to come from the host that is asked:
// other sites cannot read figures through the browser of who may.
var upgrader = websocket.Upgrader{ReadBufferSize: 1 << 10, WriteBufferSize: 4 << 10, HandshakeTimeout: patience}

// view serves the stream of figures to one viewer.
func (d *Display) view(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	v, err := d.hub.join()
	if err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(int(patience.Seconds())))
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer d.hub.leave(v)
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		listen(conn)
	}()
	defer func() {
		conn.Close() // so that listen ends
		<-gone
	}()
	d.hub.serve(conn, v, gone)
}

// listen reads what the viewer sends, which is nothing but signs of life, until
// it has gone.
func listen(conn *websocket.Conn) {
	conn.SetReadLimit(1 << 10)
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(silence)) }
	conn.SetPongHandler(alive)
	alive("")
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

// serve sends until the viewer has gone, takes too long, or the hub is closed.
func (h *hub) serve(conn *websocket.Conn, v *viewer, gone <-chan struct{}) {
	ping := time.NewTicker(silence / 3)
	defer ping.Stop()
	for {
		select {
		case <-h.over: // before what is still in out, each of which may take its time
			h.bye(conn)
			return
		default:
		}
		var err error
		select {
		case text := <-v.out:
			conn.SetWriteDeadline(time.Now().Add(patience))
			err = conn.WriteMessage(websocket.TextMessage, text)
		case <-ping.C:
			err = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience))
		case <-h.over:
			h.bye(conn)
			return
		case <-gone:
			return
		}
		if err != nil {
			return
		}
	}
}

// bye says why the stream ends.
func (h *hub) bye(conn *websocket.Conn) {
	text := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
	conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
}
