package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/handoff-run/handoff/internal/atomicfile"
)

// FileName is the name of the record in the artifacts folder of a run.
const FileName = "run.json"

// write replaces the record at path as a whole: a reader sees the old one or the new one.
func write(path string, text []byte) error {
	if err := atomicfile.Write(path, text, 0o644); err != nil {
		return fmt.Errorf("write run record: %w", err)
	}
	return nil
}

// reserved is the room, in bytes, that is kept for the end of the record: that the disk is full is what it has to tell.
const reserved = 64 << 10

func reserveOf(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".reserve")
}

func reserve(path string) error {
	if err := os.WriteFile(reserveOf(path), make([]byte, reserved), 0o600); err != nil {
		return errors.Join(fmt.Errorf("reserve room for the run record: %w", err), release(path))
	}
	return nil
}

// release gives the reserved room back, if there is any.
func release(path string) error {
	if err := os.Remove(reserveOf(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release the room for the run record: %w", err)
	}
	return nil
}

// Read returns the record at path; the error is fs.ErrNotExist when there is none.
func Read(path string) (Run, error) {
	var run Run
	text, err := atomicfile.Read(path)
	if err != nil {
		return run, fmt.Errorf("read run record: %w", err)
	}
	if err := json.Unmarshal(text, &run); err != nil {
		return run, fmt.Errorf("read run record %s: %w", path, err)
	}
	return run, nil
}

// MarkDied finishes the record of a run whose handoff is gone. It returns the record and whether it had to:
// a finished record, or none, is left alone. The caller knows (by the lock of the workspace) that nobody
// writes it any more.
func MarkDied(path string, now time.Time) (Run, bool, error) { return end(path, now, "") }

// MarkLate finishes the record of a run whose processes were killed since its lease was not renewed. Its handoff may be stopped,
// not gone: it replaces the record if it goes on.
func MarkLate(path string, now time.Time) error {
	_, _, err := end(path, now, "the lease of the task was not renewed in time, since handoff was stopped, or the disk or the bucket stood still; "+
		"the processes were killed, as another run may begin")
	return err
}

// end finishes a running record. reason is "" for a run whose handoff is gone.
func end(path string, now time.Time, reason string) (Run, bool, error) {
	run, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return run, false, nil
	}
	if err != nil || run.Outcome != Running {
		return run, false, err
	}
	died(&run, now.UTC())
	run.Reason = cmp.Or(reason, run.Reason)
	text, err := encode(run)
	if err != nil {
		return run, true, err
	}
	return run, true, errors.Join(release(path), write(path, text))
}

func encode(run Run) ([]byte, error) {
	text, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode run record: %w", err)
	}
	return append(text, '\n'), nil
}

func markTasks(tasks []*Task) {
	for _, t := range tasks {
		if t.Outcome == Running {
			t.Outcome = Died
		}
		for _, s := range t.Stages {
			if s.Outcome == Running {
				s.Outcome = Died
			}
		}
		markTasks(t.Tasks)
	}
}
