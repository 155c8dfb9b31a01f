package repo

import (
	"context"
	"sync"
)

// ahead calls use for what get returns for 0 to n-1, in order, while get works on up to width
// of the next ones. When it returns, no get is running.
func ahead[T any](ctx context.Context, n, width int, get func(context.Context, int) (T, error), use func(int, T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type result struct {
		v   T
		err error
	}
	pending := make([]chan result, 0, width)
	started := 0
	for i := range n {
		for ; started < n && started < i+width; started++ {
			to, k := make(chan result, 1), started
			pending = append(pending, to)
			running.Go(func() {
				v, err := get(ctx, k)
				to <- result{v, err}
			})
		}
		got := <-pending[0]
		pending = pending[1:]
		if got.err != nil {
			return got.err
		}
		if err := use(i, got.v); err != nil {
			return err
		}
	}
	return nil
}
