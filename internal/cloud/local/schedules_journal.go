package local

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/server"
)

// journalLine is a line of the journal: something that happened to a fire, or, with op "state", all that the journal said
// of a schedule before it was written anew.
type journalLine struct {
	server.FireRecord
	State *server.FireState `json:"state,omitempty"`
}

// stateOp marks a line that sums up those before it.
const stateOp = "state"

// fireStates is what a journal says, by server.Key.String.
type fireStates map[string]*server.FireState

func (s fireStates) apply(line journalLine) {
	if line.Op == stateOp && line.State != nil {
		s[line.ID] = line.State
		return
	}
	if s[line.ID] == nil {
		s[line.ID] = &server.FireState{}
	}
	s[line.ID].Apply(line.FireRecord)
}

func (h *Home) journalPath() string { return filepath.Join(h.dir, schedulesRoom, journalFile) }

// readJournal returns what the journal says of the schedules whose id begins with prefix. A line that cannot be read is one
// that a crash has torn, or a damaged one: its fire counts as one that did not happen.
func readJournal(path, prefix string) (fireStates, error) {
	states := fireStates{}
	f, err := os.Open(path)
	if notThere(err) {
		return states, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	mark := []byte(`"id":"` + prefix)
	in := bufio.NewReaderSize(f, 1<<16)
	for {
		text, err := in.ReadBytes('\n')
		var line journalLine
		if bytes.Contains(text, mark) && json.Unmarshal(text, &line) == nil && len(line.ID) >= len(prefix) && line.ID[:len(prefix)] == prefix {
			states.apply(line)
		}
		if errors.Is(err, io.EOF) {
			return states, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// journal is the one that a server writes.
type journal struct {
	path   string
	file   *os.File
	size   int64
	limit  int64 // of size, at which it is written anew
	states fireStates
}

const journalLimit = 4 << 20 // bytes

// openJournal opens the journal and writes it anew, without what it says of schedules that are not there any more.
func openJournal(path string, there func(id string) bool) (*journal, error) {
	states, err := readJournal(path, "")
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(states, func(id string, _ *server.FireState) bool { return !there(id) })
	j := &journal{path: path, states: states}
	return j, j.rewrite()
}

// write adds records. durable: they outlive a crash of the machine. After an error none of them counts.
func (j *journal) write(records []server.FireRecord, durable bool) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, r := range records {
		if err := enc.Encode(journalLine{FireRecord: r}); err != nil {
			return fmt.Errorf("fire journal: %w", err)
		}
	}
	if err := j.append(buf.Bytes(), durable); err != nil {
		return fmt.Errorf("fire journal: %w", err)
	}
	for _, r := range records {
		j.states.apply(journalLine{FireRecord: r})
	}
	if j.size > j.limit && j.rewrite() != nil {
		j.limit += journalLimit // it only is longer than it needs to be
	}
	return nil
}

// append takes back what a full disk has torn.
func (j *journal) append(text []byte, durable bool) error {
	if j.file == nil {
		if err := j.rewrite(); err != nil {
			return err
		}
	}
	_, err := j.file.WriteAt(text, j.size)
	if err == nil && durable {
		err = j.file.Sync()
	}
	if err != nil {
		return errors.Join(err, j.file.Truncate(j.size))
	}
	j.size += int64(len(text))
	return nil
}

// rewrite puts one line for each schedule in the place of all that was written.
func (j *journal) rewrite() error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, id := range slices.Sorted(maps.Keys(j.states)) {
		if err := enc.Encode(journalLine{FireRecord: server.FireRecord{Op: stateOp, ID: id}, State: j.states[id]}); err != nil {
			return err
		}
	}
	return errors.Join(atomicfile.WriteDurable(j.path, buf.Bytes(), 0o600), j.reopen())
}

// reopen opens the file that has the name now, be it that of before a rewrite or the new one. What was written into one without the name
// would be lost: where none can be opened there is none.
func (j *journal) reopen() error {
	_ = j.close()
	j.file = nil
	f, err := os.OpenFile(j.path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file, j.size = f, info.Size()
	j.limit = 2*j.size + journalLimit
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
