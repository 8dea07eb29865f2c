package main

import (
	"encoding/json"
	"io"
)

// results are the runs that took place; nil is one that did not.
type results struct {
	Bare *figures `json:"bare"`
	Shed *figures `json:"shed"`
}

// writeJSON writes exactly one object. Its names are documented in the manual
// and stay what they are.
func writeJSON(w io.Writer, r results) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
