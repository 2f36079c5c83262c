package local

import (
	"path/filepath"
	"testing"
	"time"
)

// TestTurn: one more than there are turns waits for one that is given back, but not for ever.
func TestTurn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "turns")
	first, second := takeTurn(dir, "a", 2, time.Minute), takeTurn(dir, "a", 2, time.Minute)
	takeTurn(dir, "b", 1, time.Minute)() // that of another kind is free
	takeTurn(dir, "a", 2, time.Millisecond)()
	waited := make(chan func())
	go func() { waited <- takeTurn(dir, "a", 2, time.Hour) }()
	select {
	case <-waited:
		t.Error("three have one of two turns")
	case <-time.After(10 * time.Millisecond):
	}
	first()
	second()
	(<-waited)()
}

// TestTurnWithoutRoom: a job that finds no place for its turn goes on without.
func TestTurnWithoutRoom(t *testing.T) {
	t.Parallel()
	takeTurn(filepath.Join(t.TempDir(), "none", "turns"), "a", 1, time.Hour)()
}
