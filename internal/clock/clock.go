// Package clock is the seam through which code learns the time, so that tests decide what
// time it is. It holds no timers and no tickers.
package clock

import "time"

// Clock tells the present time.
type Clock func() time.Time

// System is the machine's own clock.
func System() Clock { return time.Now }
