package health

import (
	"context"
	"database/sql"
)

// Pinger is a database that can be pinged: an [sql.DB] is one.
type Pinger interface {
	PingContext(ctx context.Context) error
}

// SQL pings a database. It takes a connection of the pool, so it fails also
// where none becomes free in time. A driver that has no ping of its own makes
// it say no more than that there is a connection; ask such a one something by a
// function: db.QueryRowContext(ctx, "SELECT 1").Scan(&n).
func SQL(db Pinger) Check {
	c := Check{kind: "datastore"}
	if db == nil {
		c.fault("SQL", nil, "needs a database")
		return c
	}
	c.run = db.PingContext
	return c
}

// Pool is a pool of connections: an [sql.DB] is one.
type Pool interface {
	Stats() sql.DBStats
}

// SQLPool looks at how full a pool of connections is. It warns and fails from
// these shares of [sql.DB.SetMaxOpenConns] on, 0 to 1 and 0 for never, until less
// than nine tenths of that are in use. A pool without a limit is never full. A
// full pool is load: the check is refused for Live.
func SQLPool(db Pool, warn, fail float64) Check {
	c := Check{kind: "datastore", load: true}
	if db == nil {
		c.fault("SQLPool", nil, "needs a database")
	}
	c.levels("SQLPool", warn, fail)
	if warn > 1 || fail > 1 {
		c.fault("SQLPool", [2]float64{warn, fail}, "thresholds are shares, at most 1")
	}
	t := &thresholds{warn: warn, fail: fail}
	c.run = func(ctx context.Context) error {
		s := db.Stats()
		Observe(ctx, "connections", float64(s.InUse), "")
		if s.MaxOpenConnections <= 0 {
			return nil
		}
		share := float64(s.InUse) / float64(s.MaxOpenConnections)
		Observe(ctx, "utilization", share*100, "percent")
		return t.verdict(share, "%d of %d connections are in use, %d requests have waited", s.InUse, s.MaxOpenConnections, s.WaitCount)
	}
	return c
}
