// Command overload shows, on your own machine, what happens to a service that
// is offered five times what it can serve, first bare, then behind package
// shed:
//
//	go run ./examples/overload
//	go run ./examples/overload -quick -json
//	go run ./examples/overload -service cpu -procs 2 -shape 0.9:5s,1.5:5s,3:5s,5:5s
//	go run ./examples/overload -target http://127.0.0.1:8080/
//
// It prints a table and draws the curves into overload.html. Run it with -h
// for all flags and for what each figure means.
//
// # How it measures
//
// The client is an open loop: every request has a time at which it is due,
// laid down before the run begins, is sent then whether or not earlier ones
// were answered, and its latency and its deadline count from that time. A
// closed loop, which waits for an answer before it asks again, would slow down
// with the server and hide its queue (coordinated omission). A client that has
// no whole answer by its deadline closes its connection, as real ones do.
//
// The capacity that loads are multiples of is measured in a closed loop on
// the bare service in the same process, immediately before each run. The
// draws are random, but in exact shares: classes, tenants and service times
// come out of shuffled decks, so luck does not enter the comparison.
//
// Server and client are processes of their own. This program starts itself
// again as the server, which listens on a loopback port of the system's
// choosing and ends when its parent does.
//
// # The services
//
// The pool has workers that sleep for a lognormal time and a queue without end
// before them, as a database behind a connection pool has. The CPU service
// hashes. Neither asks whether its client is still there, like most handlers:
// that is why the bare service, once behind, works only on what nobody waits
// for any more, and why it stays down when the load has long gone back to
// half of its capacity. So that a long run does not fill the memory, the server
// holds 8192 connections at most.
package main
