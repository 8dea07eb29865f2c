package sim

import "net/http"

// answer is the client's end of a response: it keeps the status and the
// header, and the length of the body only.
type answer struct {
	header http.Header
	status int // 0: nothing yet
	length int64
}

func (w *answer) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *answer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
}

func (w *answer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.length += int64(len(b))
	return len(b), nil
}

func (w *answer) WriteString(s string) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.length += int64(len(s))
	return len(s), nil
}

func (w *answer) Flush() { w.WriteHeader(http.StatusOK) }
