// Package health answers whether a service is alive, ready and started, for
// those who restart it and send it traffic: Kubernetes, load balancers, people.
//
//	h, err := health.New(
//		health.WithCheck("db", db.PingContext),
//		health.WithCheck("cache", health.TCP("cache:6379"), health.Degrading()),
//		health.WithCheck("worker", beat.Check(), health.In(health.Live)),
//	)
//	...
//	server := &http.Server{Addr: ":8080", Handler: h.Wrap(mux)}
//
// Wrap answers /healthz, /livez, /readyz and /startupz and passes everything else
// on. A Health is also an [http.Handler], for mux.Handle("/healthz", h).
//
// It belongs outside of everything that refuses or delays requests, next to
// observability: a probe that is shed or waits in a queue gets an instance
// restarted for being busy. What stands outside of it leaves probes out by
// [Health.IsProbe].
//
// # Probes read, and checks run elsewhere
//
// Each check runs in the background, at its own interval (Every, 10 s, with a
// jitter of a tenth; [Load] and [Breaker], which read memory only, 1 s), with its
// own timeout (2 s) and with a context that no probe has a part in. A probe is answered from what is known, in well under a
// microsecond and without an allocation, and so cannot be slow, run anything, or
// change what another one sees.
//
// A check that panics or calls runtime.Goexit has failed. One that ignores its
// context is stuck: it fails at each interval, is not started again before it
// returns, and is the only goroutine that is lost.
//
// A result is good for MaxAge, three intervals and a timeout, and then fails as
// stale, whatever it was. Time is monotonic: setting the clock changes nothing.
// A process that was stopped or frozen for longer than that is neither live nor
// ready when it wakes up, until its checks have run again, which they do at
// once; a liveness probe should therefore need more than one failure to have it
// restarted, as those of Kubernetes do.
//
// # From results to a status
//
// A check returns nil, a [Warning] or another error. Three results in a row that
// are worse than its status make it worse (FailAfter), and one that is better
// makes it better (PassAfter), so that a check that flaps moves nothing. Before
// the first result it is live and not ready (Initially, GracePeriod).
//
// The words are pass, warn and fail. A warning, or the failure of a check that is
// Degrading, leaves an instance in service: it is answered with 200, and tells.
// WithReadyOnDegraded(false) changes that.
//
// # Three groups
//
//   - [Ready], where a check is unless In says otherwise: should this instance get
//     traffic? Dependencies belong here, and those it can do without are
//     Degrading: if they are down for all, all instances go at once.
//   - [Live]: would a restart help? Nothing outside of the process belongs here. A
//     [Heartbeat] is the best check for it, and no check at all a good beginning.
//     What tells load is refused: [Load], [Breaker], [SQLPool], [Memory],
//     [Goroutines], [GCPause]. A restart under overload makes it worse.
//   - [Startup]: passes once each of its checks has passed once, and stays so. A
//     check of nothing else is not run after that.
//
// /healthz is all of them, for people and for load balancers that know one path.
// Do not use it for liveness.
//
// # What is answered
//
// 200 or 503, Cache-Control: no-store, and as plain text what the Kubernetes API
// server says: "ok", or with ?verbose and on failure a line for each check.
// ?exclude=db, which may be repeated, leaves checks out, and /readyz/db asks for
// one. To Accept: application/health+json the answer is JSON as in
// draft-inadarei-api-health-check-06. GET and HEAD are allowed, and a query of up
// to 4 KiB.
//
//	[+]ping ok
//	[-]db failed: reason withheld
//	[!]cache degraded: reason withheld
//	[+]shutdown ok
//	readyz check failed
//
// The reason, and what was measured, is for those whom WithAuthorize lets see it;
// it is logged once per transition, by slog, and told to OnChange.
//
// # Going down
//
// [Health.Shutdown] fails readiness, serves on for WithDrainDelay (5 s) with
// Connection: close over HTTP/1.1, and then shuts the server down:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	go server.ListenAndServe()
//	<-ctx.Done()
//	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
//	defer cancel()
//	err := h.Shutdown(ctx, server)
//
// Without the delay requests fail: routers learn that an instance goes down later
// than the instance does. It has to be longer than the period of the readiness
// probe times the failures it waits for, and the context shorter than the time
// until the process is killed (terminationGracePeriodSeconds, 30 s).
//
// # gRPC
//
// The health service of gRPC is set by OnChange. Its server begins with SERVING,
// which is wrong but for a Health that is ready before its first result:
//
//	s := grpchealth.NewServer() // google.golang.org/grpc/health
//	s.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING) // before New
//	health.OnChange(func(t health.Transition) {
//		if t.Check == "" && t.Group == health.Ready {
//			s.SetServingStatus("", map[bool]healthpb.HealthCheckResponse_ServingStatus{
//				true: healthpb.HealthCheckResponse_NOT_SERVING, false: healthpb.HealthCheckResponse_SERVING,
//			}[t.To == health.Fail])
//		}
//	})
//
// # Metrics
//
// What [Health.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_health_status                                gauge    name, group, status
//	handrail_health_draining                              gauge    name
//	handrail_health_check_status                          gauge    name, check, status
//	handrail_health_check_stuck                           gauge    name, check
//	handrail_health_check_duration_seconds                gauge    name, check
//	handrail_health_check_last_success_timestamp_seconds  gauge    name, check
//	handrail_health_check_transitions_total               counter  name, check
//	handrail_health_check_runs_total                      counter  name, check
//	handrail_health_check_results_total                   counter  name, check, status
//	handrail_health_dropped_events_total                  counter  name
//
// group is live, ready or startup, check the name of a check, and status pass, warn
// or fail, of check_status also unknown: 1 for the one that holds, 0 for the others.
// The last success is absent until there is one.
//
// # Mistakes to avoid
//
//   - A database in Live: it goes down, and every instance is restarted for it.
//   - A check of another service that asks this one: they take each other down.
//     Check what is needed to serve at all, and let breakers do the rest.
//   - A timeout above the interval: the check is skipped as long as it runs.
//   - Error texts for everybody: they name hosts, users and versions.
//   - A check that returns what it did not find out: time out instead. What is not
//     known is not healthy.
package health
