package observe

// Sink is told of every exchange once it is over, also of one whose handler
// panicked or that was refused. Observe runs on the serving goroutine, after the
// handler returned and before the server finishes the response: what it takes,
// the client waits for. It is called concurrently. A sink that panics is
// contained and counted, and the others are told all the same.
type Sink interface {
	Observe(x *Exchange)
}

// Starter is a Sink that is told of every exchange also before the handler gets
// it. Every Start is followed by one Observe of the same sink.
type Starter interface {
	Sink
	Start(x *Exchange)
}

// Follower is a Sink that is told when an exchange turns out to be long-lived:
// between Start and Observe, at most once, on the goroutine that made it so.
// LongLived must not block.
type Follower interface {
	Sink
	LongLived(x *Exchange)
}

// SinkFunc is a function that is a [Sink].
type SinkFunc func(x *Exchange)

// Observe calls f.
func (f SinkFunc) Observe(x *Exchange) { f(x) }
