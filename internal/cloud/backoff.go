package cloud

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait between one try and the next.
type Backoff struct {
	First time.Duration  // the wait after the first try; it doubles from try to try
	Max   time.Duration  // the longest wait
	Rand  func() float64 // in [0, 1): a wait is between half of its length and all of it; nil: random
}

// Wait returns the time between try n (from 1) and the next one.
func (b Backoff) Wait(n int) time.Duration {
	d := b.First
	for range n - 1 {
		d = min(2*d, b.Max)
	}
	d = min(d, b.Max)
	random := b.Rand
	if random == nil {
		random = rand.Float64
	}
	return d/2 + time.Duration(random()*float64(d/2))
}

// Sleep waits for d. Where ctx ends before that, it returns the cause at once.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
