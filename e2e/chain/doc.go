// Package chain proves that the policies of the toolkit compose: in any order a
// client gets one whole answer and nothing is left behind, and in the order that
// is recommended they do together what each of them promises, for as long as
// it takes.
package chain
