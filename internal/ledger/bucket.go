package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// Outcomes that only a look at the bucket can return.
const (
	Damaged = "damaged" // the record cannot be read
	Skipped = "skipped" // the run did not start: another one of the task was going on
)

// maxRecord is the size of the largest record that is read, in bytes.
const maxRecord = 64 << 20

// Bucket holds the records of the runs of one task, one object for each. Keys sort the newest run first, in a folder
// for each day, so that the last runs of 100,000 are found without a look at the others.
type Bucket struct {
	Files    cloud.Files
	Prefix   string // folder of the task in the bucket: cloud.Scope.Prefix
	Parallel int    // reads at a time; at least 1

	// Known returns what is known of the record in an object, so that Runs need not read it; nil: nothing. Several at a time.
	Known func(o cloud.Object) (Run, bool)
}

// Key returns the key of the record of a run; cloud.ErrInvalid where id is not one that handoff makes.
func (b *Bucket) Key(id string) (string, error) {
	at, err := cloud.RunTime(id)
	if err != nil {
		return "", err
	}
	return b.day(at) + "/" + before(at.UnixMilli(), 13) + "-" + id + ".json", nil
}

func (b *Bucket) day(at time.Time) string {
	return b.Prefix + "/runs/" + before(at.Unix()/int64((24*time.Hour).Seconds()), 5)
}

// before returns n in digits that sort the other way round.
func before(n int64, digits int) string {
	most := int64(1)
	for range digits {
		most *= 10
	}
	return fmt.Sprintf("%0*d", digits, min(max(most-1-n, 0), most-1))
}

// IDOf returns the id of the run whose record has this key.
func IDOf(key string) string { return idOf(key) }

// idOf returns the id of the run whose record has this key; "" for other objects.
func idOf(key string) string {
	_, id, _ := strings.Cut(strings.TrimSuffix(path.Base(key), ".json"), "-")
	return id
}

// Put stores the record of a run, replacing an earlier one.
func (b *Bucket) Put(ctx context.Context, run Run) error {
	text, err := encode(run)
	if err != nil {
		return err
	}
	return b.put(ctx, run.ID, text, cloud.PutOptions{})
}

// put is store for a record that a summary may know otherwise. It is forgotten before, in case this process dies in between, and
// behind, in case one is being made meanwhile.
func (b *Bucket) put(ctx context.Context, id string, text []byte, o cloud.PutOptions) error {
	err := b.forget(ctx, id)
	if err == nil {
		err = b.store(ctx, id, text, o)
	}
	if err == nil {
		err = b.forget(ctx, id)
	}
	return err
}

func (b *Bucket) store(ctx context.Context, id string, text []byte, o cloud.PutOptions) error {
	key, err := b.Key(id)
	if err != nil {
		return err
	}
	if _, err := b.Files.Put(ctx, key, cloud.Bytes(text), o); err != nil {
		return fmt.Errorf("record run %s: %w", id, err)
	}
	return nil
}

// Get returns the record of a run. One that is running may be of a run that has died. cloud.ErrNotFound: there is none.
func (b *Bucket) Get(ctx context.Context, id string) (Run, error) {
	key, err := b.Key(id)
	if err != nil {
		return Run{}, err
	}
	run, err := b.read(ctx, key)
	if err != nil {
		return Run{}, fmt.Errorf("run %s: %w", id, err)
	}
	return run, nil
}

func (b *Bucket) read(ctx context.Context, key string) (Run, error) {
	var run Run
	text, _, err := cloud.Read(ctx, b.Files, key, maxRecord)
	if err != nil {
		return run, err
	}
	if err := json.Unmarshal(text, &run); err != nil {
		return run, fmt.Errorf("object %q: %w: %w", key, cloud.ErrCorrupt, err)
	}
	return run, nil
}

// recent is how many runs Resolve looks at.
const recent = 1000

// listed is how many runs are named where more than one is meant.
const listed = 5

// Resolve returns the id that a person means: "" is the newest run, the beginning or the end of an id is enough where it
// is that of one of the newest runs only.
func (b *Bucket) Resolve(ctx context.Context, word string) (string, error) {
	if _, err := b.Key(word); err == nil && len(word) > len(cloud.RunIDTime)+1 {
		return word, nil
	}
	seen := 0
	var found []string
	for o, err := range b.Files.List(ctx, b.Prefix+"/runs") {
		if err != nil {
			return "", fmt.Errorf("list runs: %w", err)
		}
		id := idOf(o.Key)
		if id != "" && (strings.HasPrefix(id, word) || strings.HasSuffix(id, word)) {
			found = append(found, id)
		}
		if seen++; seen == recent || word == "" && len(found) > 0 || len(found) > listed {
			break
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		more := ""
		if len(found) > listed {
			found, more = found[:listed], ", ..."
		}
		return "", cloud.WithHint(fmt.Errorf("run %q: %w: more than one run matches", word, cloud.ErrInvalid),
			"write more of its id: "+strings.Join(found, ", ")+more)
	case word == "":
		return "", cloud.WithHint(fmt.Errorf("runs of task %q: %w", b.Prefix, cloud.ErrNotFound), "`handoff run` makes one")
	}
	return "", cloud.WithHint(fmt.Errorf("run %q: %w", word, cloud.ErrNotFound), "see `handoff runs list`")
}

// damaged stands for a record that cannot be read. When its run started says the id.
func damaged(id string, err error) Run {
	start, _ := cloud.RunTime(id)
	return Run{ID: id, Outcome: Damaged, Reason: err.Error(), Start: start, End: start, ExitCode: -1, Tasks: []*Task{}}
}

// Heard returns the last sign of life of a run by the clock of the bucket.
func (b *Bucket) Heard(ctx context.Context, id string) (time.Time, error) {
	key, err := b.Key(id)
	if err != nil {
		return time.Time{}, err
	}
	body, o, err := b.Files.Get(ctx, key, cloud.GetOptions{})
	if err != nil {
		return time.Time{}, fmt.Errorf("run %s: %w", id, err)
	}
	return o.Modified, body.Close()
}

// AsDied returns run, or run as one that died where it says that it is running: the caller knows that it is not.
func AsDied(run Run) Run {
	if run.Outcome == Running {
		died(&run, run.Updated)
	}
	return run
}

// MarkDied finishes the record of a run of which the caller knows that it has died. It returns whether it had to.
func (b *Bucket) MarkDied(ctx context.Context, id string, now time.Time) (Run, bool, error) {
	key, err := b.Key(id)
	if err != nil {
		return Run{}, false, err
	}
	run, err := b.read(ctx, key)
	if errors.Is(err, cloud.ErrNotFound) || err == nil && run.Outcome != Running {
		return run, false, nil
	}
	if err != nil {
		return run, false, fmt.Errorf("run %s: %w", id, err)
	}
	died(&run, now.UTC())
	return run, true, b.Put(ctx, run)
}

// Committed returns run as a success: what it left was stored, all at once, at the time ended, whatever happened to it then.
func Committed(run Run, ended time.Time) Run {
	if run.Outcome != string(pipeline.Success) {
		run.Outcome, run.Reason, run.ExitCode, run.End = string(pipeline.Success), "", 0, ended
	}
	return run
}

// MarkCommitted finishes the record of a run of which the caller knows that it was a success: see Committed. It returns whether
// it had to.
func (b *Bucket) MarkCommitted(ctx context.Context, id string, ended time.Time) (bool, error) {
	key, err := b.Key(id)
	if err != nil {
		return false, err
	}
	run, err := b.read(ctx, key)
	if errors.Is(err, cloud.ErrNotFound) || err == nil && run.Outcome == string(pipeline.Success) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("run %s: %w", id, err)
	}
	return true, b.Put(ctx, Committed(run, ended))
}

// died turns a running record into that of a run that died and was gone at the time end.
func died(run *Run, end time.Time) {
	run.Outcome, run.ExitCode, run.End = Died, 137, end
	run.Reason = fmt.Sprintf("handoff (pid %d on %s) was killed, crashed or lost its machine; the last sign of life was at %s",
		run.Pid, run.Host, run.Updated.Format(time.RFC3339))
	markTasks(run.Tasks)
}
