// Command single serves each package alone, one file for each, so that a file
// is all that has to be read to use that package:
//
//	go run ./examples/single shed
//
// The names are shed, timeout, breaker, bulkhead, retry, observe and health, and
// rollout, which tries policies that refuse nobody yet. Each listens on
// localhost:8080 (-listen), says what to try, and ends with Ctrl-C. Another one,
// sim, serves nothing: it compares limits in virtual time and prints what came of
// them.
//
// How the packages stand in front of one service is in examples/quickstart.
package main
