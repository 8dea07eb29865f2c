// Package torture proves that a handler behaves behind all sinks of observe at
// once as it does without any.
package torture
