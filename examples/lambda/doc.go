// Command lambda is an AWS Lambda function behind an HTTP API of API Gateway
// (payload format 2.0) or a function URL, with the chain in front of it that a
// server would have. It converts amounts of money by rates that another service
// tells (RATES_URL; without it there are some built in).
//
//	GOOS=linux CGO_ENABLED=0 go -C examples/lambda build -tags lambda.norpc -o bootstrap .
//
// makes the file for the runtime provided.al2023. Outside of Lambda the same
// program is a server:
//
//	go -C examples/lambda run .
//	curl -i 'localhost:8080/convert?amount=10&from=EUR&to=USD'
//
// # What is different in Lambda
//
//   - An invocation ends at a deadline that is in its context, and whoever is not
//     done by then is killed and answers nobody. So the chain gets a context that
//     ends a little earlier (margin), and package timeout answers in between.
//   - Between invocations the process stands still. What is in the background
//     may come late or never, so spans are sent before an invocation ends, and
//     there is no health package: nobody probes a function.
//   - Mostly one request is served at a time. Shedding and the bulkhead then never
//     bind; they are there for functions with several at once. Circuits and the
//     budget of retries are each instance's own, and begin anew with each.
//   - A line on standard output is a log event, and where it is in the embedded
//     metric format, metrics too. So the line of each request is both.
//   - A panic would end the process, and the next request had to wait for a new
//     one. Here it is an answer, 500, as it is of a server.
//
// Traces go on with that of the invocation, and to where
// OTEL_EXPORTER_OTLP_ENDPOINT says, such as the extension of the CloudWatch agent
// or the ADOT collector at http://localhost:4318.
//
// A response that is to be streamed needs another way in: package lambdaurl of
// aws-lambda-go serves an http.Handler behind a function URL like that. There,
// call withMargin yourself.
package main
