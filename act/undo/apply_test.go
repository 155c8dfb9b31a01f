package undo

import (
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
)

// A plan that is too old, or was made for another server, is refused before anything is asked.
func TestRefusedPlans(t *testing.T) {
	f := func(after time.Duration, server, says string) {
		t.Helper()
		now := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
		store := act.NewStore(t.TempDir(), func() time.Time { return now })
		d, err := store.Draft()
		if err != nil {
			t.Fatal(err)
		}
		d.Server = "here"
		p, err := d.Commit()
		if err != nil {
			t.Fatal(err)
		}
		plan, err := store.Open(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(after)
		_, err = Apply(t.Context(), nil, plan, ApplyOptions{Server: server, Now: func() time.Time { return now }})
		if lull.KindOf(err) != lull.Refused || !strings.Contains(err.Error(), says) {
			t.Errorf("after %s on %s: %v", after, server, err)
		}
		if plan.State() != act.Planned {
			t.Errorf("state is %s", plan.State())
		}
	}
	f(act.Valid+time.Second, "here", "expired at")
	f(0, "elsewhere", "another server")
}
