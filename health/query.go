package health

import (
	"net/url"
	"slices"
	"strings"
)

// maxQuery is how long a query may be.
const maxQuery = 4 << 10

// question is what the query of a probe asks for.
type question struct {
	verbose bool
	exclude exclusion
}

// exclusion is a set of check names, sorted. nil is empty.
type exclusion []string

func (x *exclusion) has(name string) bool {
	if x == nil {
		return false
	}
	_, found := slices.BinarySearch(*x, name)
	return found
}

// ask reads the query as [url.Values] does, but for two parameters only: what
// cannot be read is left out.
func ask(query string) (q question) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if strings.Contains(pair, ";") {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil || key != "verbose" && key != "exclude" {
			continue
		}
		value, err = url.QueryUnescape(value)
		switch {
		case err != nil:
		case key == "verbose":
			q.verbose = true
		default:
			q.exclude = append(q.exclude, value)
		}
	}
	slices.Sort(q.exclude)
	q.exclude = slices.Compact(q.exclude)
	return q
}
