package cloud

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// RunIDTime is the form of the time with which the id of a run begins, so that ids sort by time.
const RunIDTime = "20060102T150405.000Z"

// NewRunID returns an id that no other run has: 20260102T030405.678Z-1a2b3c.
func NewRunID(now time.Time) string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return runID(now, b[:])
}

// RunIDOf returns the id of the run that a token stands for: the same at each call for one time.
func RunIDOf(now time.Time, token string) string {
	sum := sha256.Sum256([]byte(token))
	return runID(now, sum[:3])
}

func runID(now time.Time, mark []byte) string {
	return now.UTC().Format(RunIDTime) + "-" + hex.EncodeToString(mark)
}

// RunTime returns the time at which a run has got its id; ErrInvalid where id is not one that handoff makes.
func RunTime(id string) (time.Time, error) {
	stamp, _, found := strings.Cut(id, "-")
	at, err := time.Parse(RunIDTime, stamp)
	if !found || err != nil || strings.Contains(id, "/") {
		return time.Time{}, WithHint(fmt.Errorf("run %q: %w id", id, ErrInvalid),
			"ids of runs look like 20260102T030405.678Z-1a2b3c; see `handoff runs list`")
	}
	return at, nil
}
