// Package window counts events and measures latencies over a sliding window.
//
// A window is a ring of sub-buckets, [DefaultBuckets] unless told otherwise,
// plus one. The extra one is the oldest, of which only a part still lies in
// the window: it is weighted with that part, so that a figure never jumps
// because a boundary went by. A sample is gone a window after it was
// recorded, plus at most one sub-bucket in which its weight fades; this holds
// also where nothing was recorded since, because each sub-bucket carries the
// interval it stands for and a reader takes none of another.
//
// # Time
//
// Time is a parameter: how long ago the owner's epoch is, by a monotonic
// clock. The epoch is when counting began, which rates need to know. A
// negative time is the epoch.
//
// # Concurrency
//
// Everything here may be called concurrently. Recording is a handful of
// atomic operations: it takes no lock and waits for nobody. It allocates only
// when it is the first in a sub-bucket's interval, which then is put in the
// place of the stale one in a single step by exactly one of the recorders
// that find it stale. A recorder that was held up keeps what it held, or
// finds a newer interval in its place and drops its sample; so it can neither
// bring old samples back nor lose those of others. Reading costs
// O(sub-buckets) loads, or that times the cells of a histogram, and disturbs
// no writer; what is recorded meanwhile may be in it or not.
package window
