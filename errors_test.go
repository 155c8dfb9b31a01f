package lull_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lull-ops/lull"
)

func TestKindAndHint(t *testing.T) {
	usage := lull.Errorf(lull.Usage, "do this", "bad %s", "flag")
	f := func(err error, kind lull.Kind, hint string) {
		t.Helper()
		if got := lull.KindOf(err); got != kind {
			t.Errorf("kind of %v is %d, want %d", err, got, kind)
		}
		if got := lull.HintOf(err); got != hint {
			t.Errorf("hint of %v is %q, want %q", err, got, hint)
		}
	}
	f(nil, 0, "")
	f(errors.New("plain"), lull.Failed, "")
	f(usage, lull.Usage, "do this")
	f(fmt.Errorf("run: %w", usage), lull.Usage, "do this")
	f(errors.Join(errors.New("first"), usage), lull.Usage, "do this")
	f(lull.Errorf(lull.Partly, "", "later: %w", usage), lull.Partly, "do this")
	f(lull.Errorf(lull.Partly, "go on", "later: %w", usage), lull.Partly, "go on")
	f(fmt.Errorf("read: %w", context.Canceled), lull.Interrupted, "")
	f(lull.Errorf(lull.Failed, "", "read: %w", context.Canceled), lull.Failed, "")
}
