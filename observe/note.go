package observe

import "net/http"

// note is what an access log tells of a request as it came: while it is logged,
// a handler that outlived its timeout may be changing the request.
type note struct {
	taken                      bool
	path, query, agent, client string
	host                       string
	headers                    []notedHeader
}

// notedHeader is a header that one access log wants.
type notedHeader struct {
	log        *AccessLog
	key, value string
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
