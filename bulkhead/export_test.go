package bulkhead

// Audit looks for what must never be.
func (b *Bulkhead) Audit() error { return b.gate.audit() }
