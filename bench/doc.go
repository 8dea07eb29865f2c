// Package bench measures this toolkit beside its peers, in one run. It is a
// module of its own, so that nobody who uses the toolkit depends on the peers.
//
//	go -C bench test -bench . -benchtime 200ms
//
// Each benchmark has the bare handler beside it, which is what to subtract. The
// handler does nothing. Absolute times say little on a shared machine; compare
// within a run.
package bench
