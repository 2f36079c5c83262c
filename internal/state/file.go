package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/handoff-run/handoff/internal/atomicfile"
)

// WriteFile puts a state into a file for the tap; nil is the empty state. Readers see the old state or the new one.
func WriteFile(path string, state json.RawMessage) error {
	if state == nil {
		state = json.RawMessage("{}")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := atomicfile.Write(path, append(bytes.Clone(state), '\n'), 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// ReadFile returns the state in a file, nil where there is none.
func ReadFile(path string) (json.RawMessage, error) {
	text, err := atomicfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	state, err := checked(text)
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w", path, err)
	}
	return state, nil
}

// pendingName is the file that has the states of one run while they are put into their own files. No task has this name.
const pendingName = ".pending"

// WriteFiles puts the states of one run into their files, DIR/NAME.json, all or none of them: what a crash or an error
// leaves undone once all are on the disk, FinishFiles does later.
func WriteFiles(dir string, states []Version) error {
	if len(states) == 0 {
		return nil
	}
	files := map[string]json.RawMessage{}
	for _, v := range states {
		files[v.Key()] = v.State
	}
	text, err := json.Marshal(files)
	if err != nil {
		return fmt.Errorf("write states: %w", err)
	}
	if err := atomicfile.WriteDurable(filepath.Join(dir, pendingName), text, 0o600); err != nil {
		return fmt.Errorf("write states: %w", err)
	}
	return FinishFiles(dir)
}

// FinishFiles finishes a WriteFiles that could not be finished; it comes before the states in dir are read.
func FinishFiles(dir string) error {
	pending := filepath.Join(dir, pendingName)
	text, err := atomicfile.Read(pending)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var files map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &files)
	}
	for task, state := range files {
		err = errors.Join(err, atomicfile.WriteDurable(filepath.Join(dir, task+".json"), append(state, '\n'), 0o600))
	}
	if err == nil {
		err = os.Remove(pending)
	}
	if err != nil {
		return fmt.Errorf("put the states of %s into their files: %w", pending, err)
	}
	return nil
}
