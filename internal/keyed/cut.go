package keyed

import "github.com/handrail-go/handrail"

// Cut bounds the bytes of a key that a function of the user's returned, as the key
// functions of package handrail do with theirs.
func Cut(key string) string { return key[:min(len(key), handrail.MaxKeyLen)] }
