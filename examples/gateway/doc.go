// Command gateway is a reverse proxy in front of several instances of a service,
// which goes on when some of them fail:
//
//	go run ./examples/gateway
//	go run ./examples/gateway -upstream http://10.0.0.1:8080 -upstream http://10.0.0.2:8080
//
// Without -upstream it starts two upstreams of its own, one of which fails for
// four seconds in every ten, and clients that ask for fifty pages a second. Each
// second it prints what happened:
//
//	time   asked  2xx  429  503  504  other  retried   steady          shaky
//	  6s      50   50    0    0    0      0        0    25 closed       25 closed
//	  7s      51   51    0    0    0      0        5    51 closed        5 open
//	  8s      50   50    0    0    0      0        1    50 closed        1 open
//
// # What stands where
//
// Refusing what is too much, the deadline and the shares of tenants concern
// requests as they come, so they are middleware in front of the proxy. What
// fails is an upstream, and which one a request goes to is known behind the
// proxy only, so retries and circuits are its Transport:
//
//	observe → health → shed → timeout → bulkhead → proxy → retry → balancer → breaker → upstream
//
// The balancer goes round robin, passes over upstreams whose circuit is open,
// and sends a retry to another upstream than the attempt before. When all
// circuits are open, the client gets 503 and the time until the first of them
// lets a request through again.
//
// # Who is trusted
//
// A gateway is the edge. It tells its clients by keys (-key), removes the headers
// that services behind it believe, and sets those it answers for: X-Tenant,
// X-Request-Id, X-Forwarded-For.
package main
