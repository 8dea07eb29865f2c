package httpwrap

import (
	"net/http"
	"testing"
)

var body = []byte("hello")

func BenchmarkBareWriter(b *testing.B) {
	b.ReportAllocs()
	var w http.ResponseWriter = &fakeHTTP1{h: http.Header{}}
	for b.Loop() {
		w.Write(body)
	}
}

func BenchmarkWrapWriteRelease(b *testing.B) {
	b.ReportAllocs()
	var w http.ResponseWriter = &fakeHTTP1{h: http.Header{}}
	for b.Loop() {
		rw, rec, _ := Wrap(w)
		rw.Write(body)
		rec.Release()
	}
}

func BenchmarkWrapHeaderWriteRelease(b *testing.B) {
	b.ReportAllocs()
	var w http.ResponseWriter = &fakeHTTP1{h: http.Header{"Content-Type": {"text/plain"}}}
	for b.Loop() {
		rw, rec, _ := Wrap(w)
		rw.Header()
		rw.WriteHeader(200)
		rw.Write(body)
		rec.Release()
	}
}

func BenchmarkSharedWrap(b *testing.B) {
	b.ReportAllocs()
	rw, rec, _ := Wrap(&fakeHTTP1{h: http.Header{}})
	defer rec.Release()
	for b.Loop() {
		Wrap(rw)
	}
}
