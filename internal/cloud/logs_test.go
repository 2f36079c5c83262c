package cloud_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// arrivals are lines that a provider passes on some time after the reading has begun.
func arrivals(start time.Time, at ...time.Duration) func(context.Context, bool) (bool, error) {
	return func(context.Context, bool) (bool, error) {
		some := false
		for len(at) > 0 && time.Since(start) >= at[0] {
			at, some = at[1:], true
		}
		return some, nil
	}
}

func TestPollEnds(t *testing.T) {
	t.Parallel()
	second := time.Second
	for name, test := range map[string]struct {
		settle time.Duration
		lines  []time.Duration
		want   time.Duration // the end; the job ends after 10 s
	}{
		"nothing is late":           {0, nil, 10 * second},
		"the last look had a line":  {0, []time.Duration{10 * second}, 10 * second},
		"waits for what is late":    {5 * second, nil, 15 * second},
		"each line may be followed": {5 * second, []time.Duration{3 * second, 12 * second, 16 * second}, 21 * second},
		"what is too late is left":  {5 * second, []time.Duration{30 * second}, 15 * second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, done := time.Now(), make(chan struct{})
				time.AfterFunc(10*second, func() { close(done) })
				q := cloud.Query{Follow: true, Done: done}
				err := cloud.Poll{Every: second, Settle: test.settle}.Read(t.Context(), q, arrivals(start, test.lines...))
				if got := time.Since(start); err != nil || got != test.want {
					t.Errorf("ended after %v, %v; want %v", got, err, test.want)
				}
			})
		})
	}
}

func TestPollStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		poll := cloud.Poll{Every: time.Second, Settle: time.Hour}
		if err := poll.Read(ctx, cloud.Query{Follow: true}, arrivals(start)); err != nil || time.Since(start) != time.Minute {
			t.Errorf("with its context: %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if err := poll.Read(t.Context(), cloud.Query{}, arrivals(start)); err != nil || time.Since(start) != 0 {
			t.Errorf("without following: %v after %v", err, time.Since(start))
		}
		poll.Settle = 3 * time.Second
		end := cloud.Query{Follow: true, End: start.Add(10 * time.Second)}
		if err := poll.Read(t.Context(), end, arrivals(start)); err != nil || time.Since(start) != 13*time.Second {
			t.Errorf("behind the end that was asked for: %v after %v", err, time.Since(start))
		}
		broken := errors.New("broken")
		err := poll.Read(t.Context(), cloud.Query{Follow: true}, func(context.Context, bool) (bool, error) { return false, broken })
		if !errors.Is(err, broken) {
			t.Errorf("error: %v", err)
		}
	})
}
