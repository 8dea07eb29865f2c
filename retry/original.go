package retry

import (
	"context"
	"net/http"
	"net/url"
)

// original remembers a request as it came in: the first attempt gets the
// request itself and may change it, and hardly ever is there a second one. So
// it lives on the stack, without anything that would need to be allocated for
// the usual number of headers.
type original struct {
	r      http.Request
	url    url.URL
	fields [remembered]field
	values [remembered]string
	// count is how many of the fields there are, or -1 where they did not fit
	// and are all in header.
	count  int
	header http.Header
}

// field is one header, whose values end at to.
type field struct {
	name string
	to   int
}

const remembered = 12

// remember notes what r is.
func (o *original) remember(r *http.Request) {
	o.r = *r
	if r.Form != nil || r.PostForm != nil || r.MultipartForm != nil {
		o.r = *r.Clone(r.Context()) // somebody outside has read the form
	}
	if r.URL != nil {
		o.url = *r.URL
	}
	used := 0
	for name, values := range r.Header {
		if o.count == remembered || used+len(values) > remembered {
			o.count, o.header = -1, r.Header.Clone()
			return
		}
		used += copy(o.values[used:], values)
		o.fields[o.count] = field{name, used}
		o.count++
	}
}

// clone is the request once more, of which nothing is shared with an earlier
// attempt but the map of the trailers, which the server fills in, and the path
// values of a mux outside.
func (o *original) clone(ctx context.Context, trailer http.Header) *http.Request {
	as := o.r
	as.Header, as.Trailer = nil, nil
	if as.URL != nil {
		u := o.url
		as.URL = &u
	}
	r := as.Clone(ctx)
	r.Header, r.Trailer = o.fresh(), trailer
	return r
}

// fresh is the header once more.
func (o *original) fresh() http.Header {
	if o.count < 0 {
		return o.header.Clone()
	}
	header := make(http.Header, o.count+1)
	if o.count == 0 {
		return header
	}
	values := append([]string(nil), o.values[:o.fields[o.count-1].to]...)
	from := 0
	for _, f := range o.fields[:o.count] {
		header[f.name] = values[from:f.to:f.to]
		from = f.to
	}
	return header
}
