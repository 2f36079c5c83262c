package process

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// errOver is what Start returns after the time that Lives has set.
var errOver = errors.New("its time is over: the lease of the task was not renewed")

// Lives lets the processes live until d after since. Where it is not called again in time, the guardian kills them, also
// when handoff is stopped, and none can be started any more. It may be called at any time, from any goroutine.
func (s *Supervisor) Lives(since time.Time, d time.Duration) {
	now := sharedClock() // before the other clock is read: a pause between both makes the time shorter
	until := now - time.Since(since) + d
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = until
	s.tellUntil()
}

// tellUntil tells the guardian how long the processes may live. s.mu is held.
func (s *Supervisor) tellUntil() {
	if s.until != 0 && s.guard != nil {
		s.guard.tell(opLives, int(s.until.Milliseconds()))
	}
}

// timeOver reports whether the processes may not live any more.
func (s *Supervisor) timeOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until != 0 && sharedClock() >= s.until
}

// left returns the time until a moment of the shared clock, of which only 32 bits are known: it may be weeks away, no more.
func left(until int) time.Duration {
	d := int32(uint32(until) - uint32(sharedClock().Milliseconds()))
	return max(time.Duration(d)*time.Millisecond, 0)
}

// sharedClock is a monotonic clock that all processes of this machine share.
func sharedClock() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // there is no machine on which it fails
	}
	return time.Duration(t.Nano())
}
