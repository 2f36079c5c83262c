package lease

import "time"

// verdict is what a taker knows of a lease.
type verdict int

const (
	unsure verdict = iota // nobody has seen a renewal yet, nor waited long enough for one
	busy
	free
)

// watch is what one taker has seen of a holder. It is told each look, right after it, and measures by the taker's own
// monotonic clock.
type watch struct {
	seen  Record
	since time.Time // when seen was first seen
}

// look says whether the lease may be taken. Only what the holder itself changes is a sign of life: who waits for the
// lease writes into it, too.
func (w *watch) look(r Record, o Options) verdict {
	if r.RunID == "" && r.Fence == 0 || r.Released {
		return free
	}
	switch o.Sight(r) {
	case Gone:
		return free
	case Alive:
		return busy
	}
	now := time.Now()
	if w.since.IsZero() {
		w.seen, w.since = r, now
		return unsure
	}
	if !w.seen.same(r) || w.seen.Beat != r.Beat {
		w.seen, w.since = r, now
		return busy
	}
	if now.Sub(w.since) >= Patience(r, o.Times) {
		return free
	}
	return unsure
}

// same reports whether both are of one holder.
func (r Record) same(other Record) bool {
	return r.Fence == other.Fence && r.Holder == other.Holder && r.Taken.Equal(other.Taken)
}

// Patience is how long one waits for a renewal of the lease: what its holder has promised to others counts, too.
func Patience(r Record, t Times) time.Duration {
	return max(t.withDefaults().TTL, time.Duration(r.TTL*float64(time.Second)))
}
