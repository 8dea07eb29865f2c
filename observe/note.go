package observe

import "net/http"

// note is what an access log tells of a request as it came: while it is logged,
// a handler that outlived its timeout may be changing the request.
type note struct {
	taken                      bool
	path, query, agent, client string
	host                       string
	own                        []notedValue
}

// notedValue is what one access log wants: a header, or the address as it is
// told.
type notedValue struct {
	log   *AccessLog
	key   key
	value string
}

// of says whether there is something of that log already, which is where it is
// a sink twice.
func (n *note) of(l *AccessLog) bool {
	for i := range n.own {
		if n.own[i].log == l {
			return true
		}
	}
	return false
}

// take notes what every access log tells.
func (n *note) take(r *http.Request) {
	n.taken = true
	if r.URL != nil {
		n.path, n.query = r.URL.Path, r.URL.RawQuery
	}
	if agent := r.Header["User-Agent"]; len(agent) > 0 {
		n.agent = agent[0]
	}
	n.client, n.host = addressOf(r.RemoteAddr), r.Host
}

// addressOf is an address without its port.
func addressOf(remote string) string {
	for i := len(remote) - 1; i >= 0; i-- {
		switch remote[i] {
		case ':':
			if i >= 2 && remote[0] == '[' && remote[i-1] == ']' {
				return remote[1 : i-1]
			}
			return remote[:i]
		case ']':
			return remote
		}
	}
	return remote
}
