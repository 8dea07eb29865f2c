// Package keyed keeps one instance of something per key, for keys that come
// from outside: the statistics of a tenant, the breaker of a host, the limit
// of an operation. However many keys there are, it holds no more than a
// maximum of instances.
//
//	limits := keyed.New(keyed.Config[limit]{
//		Max: 1000,
//		New: func(tenant string) *limit { return newLimit(tenant) },
//	})
//	...
//	ref := limits.Acquire(tenant)
//	defer ref.Release()
//	ref.Value().take()
//
// # What is forgotten
//
// When a new key finds the map full, an instance is evicted, but only an idle
// one: nobody has it acquired, and Config.Idle, if there is one, agrees. So a
// bulkhead that holds its Ref as long as its permit never has a permit on a
// forgotten instance, and a breaker whose Idle is "closed" is never forgotten
// while it is open. The decision is atomic: an instance that Acquire returned
// is not evicted before its Release, whatever else happens at the same time.
//
// Among the idle ones it is the least recently used, as far as that can be
// known at a constant price. Entries stand in a list in the order in which
// they were created; when space is needed, up to [Scan] entries are looked at
// from its old end. One that is busy, or was acquired since it was put where
// it is, goes to the young end instead of being evicted (this is the CLOCK
// algorithm, also known as second chance). If all those looked at were
// acquired meanwhile, the one goes whose last use is longest ago, where two
// uses without a creation between them count as simultaneous.
//
// # What does not fit
//
// If none of the entries looked at is idle, Acquire returns the overflow
// instance, which all keys share that find no place, and counts that. The
// entries looked at have moved to the young end, so the next new key looks at
// others. A key that was sent to the overflow gets an instance of its own as
// soon as there is room; until it has released the overflow it may so be in
// both.
//
// # Cost
//
// Acquire and Release of a key that is known take no lock and do not allocate;
// a new key takes one lock, for a time that does not depend on the number of
// keys, save that the index doubles now and then until it fits Max. Keys are
// hashed with a random seed, so nobody can choose keys that collide. A key is
// copied when an instance is created for it, at its full length: who takes
// keys from outside has to [Cut] them, or the map is bounded in entries but not
// in bytes.
package keyed
