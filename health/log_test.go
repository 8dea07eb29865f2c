package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATransitionIsLoggedAsBadAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := 0
		h := made(t, steady, WithName("shop"), WithLogger(slog.New(slog.NewTextHandler(&log, nil))), WithCheck("db", func(context.Context) error {
			n++
			return []error{nil, Warning(errDown), errors.New("one\ntwo")}[min(n, 3)-1]
		}, FailAfter(1)))
		time.Sleep(25 * time.Second)
		synctest.Wait()
		h.Close()
		for _, line := range []string{
			`level=INFO msg="health check changed" health=shop check=db group=ready from=unknown to=pass` + "\n",
			`level=INFO msg="health of a group changed" health=shop group=ready from=fail to=pass` + "\n",
			`level=WARN msg="health check changed" health=shop check=db group=ready from=pass to=warn error="connection refused"` + "\n",
			`level=ERROR msg="health check changed" health=shop check=db group=ready from=warn to=fail error="one two"` + "\n",
			`level=ERROR msg="health of a group changed" health=shop group=ready from=warn to=fail` + "\n",
		} {
			if strings.Count(log.String(), line) != 1 {
				t.Errorf("not once %s in\n%s", line, &log)
			}
		}
	})
}
