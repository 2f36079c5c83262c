package pipeline

import "os"

// ticket names a file in a deposit; the zero ticket names none.
type ticket uint64

// keep leaves a copy of a write end with the guardian, so that the death of handoff shows nobody an end-of-file:
// the stages are killed first.
func (e *Engine) keep(w *os.File) ticket {
	if e.deposit == nil {
		return 0
	}
	return e.deposit.put(w)
}

// dropKept takes the copy back.
func (e *Engine) dropKept(t ticket) {
	if e.deposit != nil && t != 0 {
		e.deposit.remove(t)
	}
}
