// Command bench measures this toolkit beside its peers, in one run, and writes
// what it found:
//
//	go -C bench run . -write ../docs/performance.md
//
// It is a module of its own, so that nobody who uses the toolkit depends on the
// peers. For a part of it, or in a hurry:
//
//	go -C bench run . -kinds shed,timeout
//	go -C bench run . -short
//
// A kind is one thing that several middlewares do, and a [row] is one of them.
// They stand in one table, which the benchmarks of this package measure too:
//
//	go -C bench test -bench Kinds/breaker -benchtime 200ms
//
// Absolute times say little on a shared machine; compare within a run.
package main
