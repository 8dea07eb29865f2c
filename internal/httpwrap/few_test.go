package httpwrap

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFewKeepsWhatAListWould compares it with a slice over random histories.
func TestFewKeepsWhatAListWould(t *testing.T) {
	pointers := make([]*int, 6)
	for i := range pointers {
		pointers[i] = new(int)
	}
	for seed := range uint64(200) {
		dice := rand.New(rand.NewPCG(seed, 0))
		var f few
		var want []any
		for range 60 {
			v := any(pointers[dice.IntN(len(pointers))])
			switch dice.IntN(8) {
			case 0, 1, 2:
				f.add(v)
				want = append(want, v)
			case 3, 4, 5:
				i := slices.Index(want, v)
				if got := f.remove(v); got != (i >= 0) {
					t.Fatalf("remove said %v, want %v", got, i >= 0)
				}
				if i >= 0 {
					want = slices.Delete(want, i, i+1)
				}
			case 6:
				if got := f.has(v); got != slices.Contains(want, v) {
					t.Fatalf("has said %v of %v", got, want)
				}
			case 7:
				if dice.IntN(8) == 0 {
					f.empty()
					want = nil
				}
			}
			var got []any
			f.each(func(v any) { got = append(got, v) })
			if len(got) != len(want) {
				t.Fatalf("it holds %d, want %d", len(got), len(want))
			}
			for _, p := range pointers {
				count := func(all []any) (n int) {
					for _, v := range all {
						if v == any(p) {
							n++
						}
					}
					return n
				}
				if count(got) != count(want) {
					t.Fatalf("it holds %d of one, want %d", count(got), count(want))
				}
			}
		}
	}
}

// TestFewKeepsItsMemory: a pooled recorder with many listeners needs none for
// the next request, and holds nobody who is gone.
func TestFewKeepsItsMemory(t *testing.T) {
	var f few
	v := new(int)
	fill := func() {
		for range 5 {
			f.add(v)
		}
		f.empty()
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	for _, left := range (*f.more)[:cap(*f.more)] {
		if left != nil {
			t.Error("an emptied one still holds what was in it")
		}
	}
}
