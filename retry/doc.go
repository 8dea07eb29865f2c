// Package retry repeats requests that failed: on a server by running the
// handler again, on a client by sending the request again. Whoever asked gets
// exactly one answer, whole, and nothing of those that were dropped.
//
//	mux := http.NewServeMux()
//	protect := retry.Middleware(retry.HTTP())
//	http.ListenAndServe(":8080", protect(httputil.NewSingleHostReverseProxy(backend)))
//
//	client := &http.Client{Transport: policy.Transport(nil)} // policy from retry.New
//
// # Where it stands
//
// Inside of shed and timeout, outside of breaker and bulkhead, so that each
// attempt is judged and counted by those. What they refuse is not repeated,
// nor is what package shed refuses further in. On a server, the use is in front
// of something that fails now and then by itself: a reverse proxy, a database
// behind a handler. Retry in one layer only: three tries in each of three
// layers are 27. Where several cannot be avoided, let them share the load
// that they add, see Budget, and number attempts, see [WithAttemptHeader].
//
// # What is repeated
//
// GET, HEAD, OPTIONS, TRACE, PUT and DELETE, which are idempotent (RFC 9110,
// section 9.2.2), and POST and PATCH that carry an Idempotency-Key. Failures
// are the statuses 429, 500, 502, 503 and 504; on a client also connections
// that could not be made or broke, but neither TLS nor certificates nor a name
// that does not exist. A handler's panic is none unless [WithRetryPanics] says
// so. [WithClassifier] has the last word about answers and errors.
//
// # When
//
// After 100 ms, doubling up to 30 s, three attempts in all, with full jitter:
// each delay is drawn anew between nothing and that much. A Retry-After (RFC
// 9110, section 10.2.3) comes on top, so that nobody is earlier than asked, and
// those who were asked the same do not come together. Where it is longer than
// [WithMaxRetryAfter], or the next attempt would begin after the caller's
// deadline, the failure is the answer at once: waiting would be for nothing.
// A caller that leaves ends everything, also in the middle of a delay.
//
// # Budget
//
// If a service is down, repeating everything triples its load when it can
// least bear it. Each request therefore pays a fifth of a token into a bucket
// and each further attempt, and each hedge, takes a whole one: at most a fifth
// more load, however much fails. Clients that send so little that they never
// get a token together have one a second anyway. See [Budget], which instances
// can share.
//
// The bucket begins empty. As long as there are less than five requests a second,
// that one retry a second stands in for it. Above, a process that has just started
// has nothing saved: its first failures are shown to the client, until enough
// requests have paid in, five for each retry. Where that hurts, as in a gateway
// whose upstream is down when it starts, raise the floor: NewBudget(0.2, 10) grants
// ten a second up to 50 requests a second, floor ÷ ratio, and a hundred at once.
//
// # Responses, on a server
//
// The handler's header map is its own. The moment it chooses a status that is
// no failure, everything goes through as it comes, unbuffered: event streams,
// files, hijacked connections. A failure is held back, up to 64 KiB, and
// dropped when the next attempt begins, or delivered when there is none.
// Flush, Hijack, EnableFullDuplex, an event stream and a longer body send it
// on its way, after which there is nothing to repeat. Informational responses
// (1xx) go out at once, from each attempt. Trailers are those of the attempt
// that the client gets.
//
// # Requests, on a server
//
// The first attempt gets the request as it came. What it reads of the body is
// kept, up to 64 KiB, and read again by the next one; nothing is read ahead,
// so a handler that answers 417 never pulls the upload that waits for a
// 100-continue. A longer body streams through and is not repeated, nor is one that did
// not arrive whole. Each further attempt begins with a deep copy of the request
// as it came in, whatever the one before did to it, and shares only the map of
// the trailers and the path values of a mux outside. Form files of dropped attempts are removed. What an attempt
// leaves running can do no harm: its writes are refused, and so is its reading
// of the body.
//
// # Responses, on a client
//
// See [Retrier.Transport], also for use in a proxy. In short: GetBody or no body, dropped responses are
// drained so that connections are used again, the last response is the
// caller's, and the request given is never changed. [WithHedging] sends safe
// requests again while there is no answer yet.
//
// # What counts
//
// [Stats] and Collect count requests that may be repeated, not exempt ones and
// not those of other methods. An access log or a metric further out sees one
// request, one further in sees each attempt. [OnRetry] is told of each failure
// that is repeated, and [OnGiveUp] of each that is not, with the [Reason].
//
// # Metrics
//
// What [Retrier.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_retry_requests_total            counter  name
//	handrail_retry_attempts_total            counter  name
//	handrail_retry_retried_requests_total    counter  name
//	handrail_retry_recovered_requests_total  counter  name
//	handrail_retry_given_up_requests_total   counter  name, reason
//	handrail_retry_delay_seconds_total       counter  name
//	handrail_retry_hedges_total              counter  name
//	handrail_retry_hedges_won_total          counter  name
//	handrail_retry_dropped_events_total      counter  name
//	handrail_retry_budget_tokens             gauge    name
//	handrail_retry_budget_denied_total       counter  name
//
// reason is a [Reason]. The two of the budget are there where there is one, and of
// all who share it.
//
// # While serving
//
// No setting can be changed: make another Retrier, and have it share the [Budget].
// Functions that are given, such as those of [WithClassifier], [WithDelay] and
// [WithExempt], are asked each time, and may go by what has changed.
//
// # Mistakes to avoid
//
//   - Repeating what is not idempotent. An Idempotency-Key only helps where the
//     receiver knows it.
//   - Taking the attempt header from strangers. It makes shed refuse a request
//     earlier, so a lie harms the liar, but remove it at the edge.
//   - An attempt timeout on a handler that does not heed its context. Use
//     package timeout inside for that; its answer is a failure like others.
//   - Logging or counting in a middleware further in, and taking attempts for
//     requests.
//   - A Transport below an [http.Client] that follows redirects: each redirect
//     is a request of its own, with all its attempts.
package retry
