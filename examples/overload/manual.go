package main

// manual is what -h prints.
const manual = `Overload shows what happens to a service that is offered five times what it can
serve: first as it is, then behind this module's shed package.

    go run ./examples/overload [flags]

A real HTTP server on loopback, in a process of its own, is driven by an
open-loop client: requests are sent when they are due, whether or not earlier
ones were answered, and both latency and deadline count from when they were
due. Half of capacity is offered for a sixth of the time, five times capacity
for half of it, and half of capacity for the rest. Requests are 10 % critical,
20 % high, 40 % normal, 20 % low and 10 % background (X-Priority); one noisy
tenant sends 80 % of them and four quiet ones 5 % each (X-Tenant), all with the
same mix of classes. A client that has no whole answer by its deadline closes
its connection.

What is tried
  -quick             take 6 s instead of 24 s for each of the two runs
  -duration D        take that long for each of the two runs
  -shape S           another load, as multiples of capacity, each with its time,
                     such as 0.9:5s,1.5:5s,3:5s,5:5s
  -service pool      a pool of workers that sleep (the default): the same on
                     every machine
  -service cpu       a handler that burns CPU
  -target URL        a service of your own, behind a reverse proxy in which the
                     protection stands; the bare run goes through the same
                     proxy without it. What is requested is that URL with GET.
                     It is driven far beyond its capacity: do not do this to a
                     service that others need.
  -workers N         size of the pool, 20
  -work D            mean service time, 20ms in the pool (lognormal), 5ms of
                     CPU; with less, the client and the refusals of thousands
                     of requests a second take the CPU of a small machine
  -procs N           GOMAXPROCS of the server process; with -service cpu the
                     default is the environment's GOMAXPROCS, else 1
  -deadline D        how long a client waits, 500ms, with -service cpu 250ms
  -capacity RPS      take this for the capacity instead of measuring it in a
                     closed loop before each run (of a target: once)
  -arrivals poisson  at random, as independent clients send (the default), or
  -arrivals even     at even distances
  -http2             cleartext HTTP/2 between client and server
  -conns N           at most this many connections, or streams, at a time, 4096
  -seed N            of all draws, 1
  -only bare|shed    only one of the two runs
  -sim               simulate both runs in virtual time instead: done in
                     seconds, undisturbed by the machine; to try settings with

What is printed
  -json              one JSON object instead of the table
  -html FILE         where the page with the curves goes, overload.html; empty
                     for none
Progress goes to standard error. Ctrl-C ends the program with what has been
measured so far.

The JSON object is {"bare":{…},"shed":{…}}, null for a run that did not take
place. A figure that nothing was measured for is null. Unless they say
otherwise, figures are of the overload, the heaviest step of the load, and a
request belongs to the step in which it was due.
  capacity_rps       requests a second, measured or given
  offered_ratio      load, as a multiple of capacity
  goodput_ratio      requests answered 2xx or 3xx within the deadline, as a
                     share of what capacity would have served in that time
  p50_ms, p99_ms     latency of those requests
  shed_ratio         share of requests that were answered 503 or 429
  class_success      share of requests that were answered 2xx or 3xx within the
                     deadline, by critical, high, normal, low, background
  tenant_success     the same by tenant: noisy, quiet-1 … quiet-4
  false_shed_ratio   share of requests shed in the steps below capacity
  recovered          whether service was back to normal within the run
  recover_seconds    how long after the last step at or above capacity at least
                     95 % of the success before the overload was back, over the
                     next second and over all the rest; null if never, if
                     nothing succeeded before, or without a step after it
  outcomes           of the whole run: good; shed; late (no whole answer within
                     the deadline); failed (another answer, or a connection that
                     broke); overflow (no connection left to send it on)
  client_lag_p99_ms  how much later than due the client itself sent, in the
                     whole run; where it is not small, distrust the rest
  client_cpu_us      CPU time the client used for a request, null if unknown
  phases             for each step ratio, seconds and the figures above
  interrupted        whether the run was cut short

Exit codes: 0 done, 1 failed, 2 wrong flags, 130 interrupted. (go run shows them
but itself ends with 1 for all but 0.)
`
