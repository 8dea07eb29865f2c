// Package handrail holds the vocabulary that the packages of this toolkit
// share: priorities, keys, rejections, metrics, and [Chain] to stack them.
// The policies live in packages of their own and each is useful alone:
//
//	shed      refuses what cannot be served in time, the least important first
//
// and load, the one sampler of CPU, memory and scheduler that they read.
//
// # Stacking
//
// A middleware is a func(http.Handler) http.Handler, so the packages mix with
// any other. Where several are used, the order from the outside in is
//
//	observe → health → shed → timeout → retry → breaker → bulkhead → handler
//
// Observability is outermost so that it sees every answer, refusals included.
// Shedding comes before anything that costs work. A bulkhead is innermost
// because a handler that outlives its timeout still occupies its slot. Retry
// stands outside the breaker so that each attempt is judged. Any other order
// is correct too, only less useful.
//
// # Trust
//
// Nothing a client sends changes its priority, tenant or deadline unless an
// option says so, and the documentation of that option says who may set it.
package handrail
