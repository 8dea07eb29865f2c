package health_test

import (
	"context"
	"database/sql"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/handrail-go/handrail/health"
)

// database is a pool of two connections to a file.
func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(2)
	if _, err := db.Exec("CREATE TABLE orders (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	return db
}

// watch is a Health that asks often, and shows why.
func watch(t *testing.T, db *sql.DB) *health.Health {
	t.Helper()
	h, err := health.New(
		health.WithDefaults(health.Every(10*time.Millisecond), health.Timeout(20*time.Millisecond), health.FailAfter(2), health.MaxAge(time.Minute)),
		health.WithCheck("db", health.SQL(db)),
		health.WithCheck("pool", health.SQLPool(db, 0, 1), health.Degrading()),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// comesTo waits until the checks have these statuses.
func comesTo(t *testing.T, h *health.Health, db, pool health.Status) health.Stats {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		s := h.Stats()
		if s.Checks[0].Status == db && s.Checks[1].Status == pool {
			return s
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%+v", s)
		}
	}
}

func TestAFullPoolOfARealDriverFailsAndRecovers(t *testing.T) {
	db := database(t)
	h := watch(t, db)
	comesTo(t, h, health.Pass, health.Pass)
	var taken []*sql.Conn
	for range 2 {
		conn, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, conn)
	}
	s := comesTo(t, h, health.Fail, health.Warn)
	if s.Ready != health.Fail || !strings.Contains(s.Checks[1].Err.Error(), "2 of 2 connections are in use") {
		t.Errorf("%+v", s)
	}
	// No ping that has timed out waits on.
	if n := db.Stats().InUse; n != 2 {
		t.Errorf("%d connections are in use", n)
	}
	for _, conn := range taken {
		conn.Close()
	}
	if s := comesTo(t, h, health.Pass, health.Pass); s.Ready != health.Pass || s.Checks[0].Stuck {
		t.Errorf("%+v", s)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestADatabaseThatIsClosedFails(t *testing.T) {
	db := database(t)
	h := watch(t, db)
	comesTo(t, h, health.Pass, health.Pass)
	db.Close()
	if s := comesTo(t, h, health.Fail, health.Pass); !strings.Contains(s.Checks[0].Err.Error(), "closed") {
		t.Errorf("%+v", s)
	}
}
