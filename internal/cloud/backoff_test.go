package cloud_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := cloud.Backoff{First: time.Second, Max: 5 * time.Second, Rand: func() float64 { return 1 }}
	var waits []time.Duration
	for n := range 5 {
		waits = append(waits, b.Wait(n+1))
	}
	want := []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	b.Rand = nil
	seen := map[time.Duration]bool{}
	for range 20 {
		d := b.Wait(1)
		if d < time.Second/2 || d > time.Second {
			t.Errorf("waits %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 2 {
		t.Error("always the same wait")
	}
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := cloud.Sleep(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("slept %v: %v", time.Since(start), err)
		}
		why := errors.New("enough")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(why) })
		start = time.Now()
		if err := cloud.Sleep(ctx, time.Minute); !errors.Is(err, why) || time.Since(start) != time.Second {
			t.Errorf("cancelled after %v: %v", time.Since(start), err)
		}
	})
}

func TestCompete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faster := errors.New("somebody was faster")
		tries := 0
		err := cloud.Compete(t.Context(), func() (bool, error) { tries++; return true, faster })
		if tries != 60 || !errors.Is(err, faster) || !strings.Contains(err.Error(), "overtaken 60 times") {
			t.Errorf("%d tries: %v", tries, err)
		}
		tries = 0
		err = cloud.Compete(t.Context(), func() (bool, error) {
			if tries++; tries < 3 {
				return true, faster
			}
			return false, nil
		})
		if tries != 3 || err != nil {
			t.Errorf("%d tries: %v", tries, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		err = cloud.Compete(ctx, func() (bool, error) { stop(); return true, faster })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, faster) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
