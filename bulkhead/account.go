package bulkhead

// account is what one tenant or one operation occupies. It is guarded by the
// gate's lock.
type account struct {
	key    string
	shared bool // by all that found no account of their own

	era   uint64 // of the settings that limit was taken from
	limit int    // with everything unlimited as endless

	inUse, waiting     int
	admitted, rejected uint64
}

// full says whether nobody else fits.
func (a *account) full() bool { return a.inUse >= a.limit }

// tenant is the account of one tenant.
type tenant struct {
	account
	// guarantee is how many slots it gets before others do.
	guarantee int
	// queued counts those of its requests that wait without a claim.
	queued int
	// lines are those of its requests that wait, one for each operation.
	lines *line
	// barred and owed are what its lines were last told.
	barred, owed bool
}

// operation is the account of one operation, or of one host.
type operation struct {
	account
	// ready are the lines whose tenant has room, the first to be served first.
	ready heap[*line]
	// at is the operation's index among those that have room.
	at int
}

// before orders operations by their first lines.
func (o *operation) before(other *operation) bool { return o.ready[0].before(other.ready[0]) }

func (o *operation) place() *int { return &o.at }

func newTenant(key string) *tenant { return &tenant{account: account{key: key}} }

func newOperation(key string) *operation {
	return &operation{account: account{key: key}, at: -1}
}
