package httptorture

import (
	"net/http"
	"testing"
)

func TestIdentityPasses(t *testing.T) {
	Run(t, func(next http.Handler) http.Handler { return next })
}
