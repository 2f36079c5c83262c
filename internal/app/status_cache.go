package app

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
)

// statusKey is an object of a resource group: what a look at its tasks has read of the records of runs that have ended, a line for each
// task, so that the next look need not read them again. A record is known by the ETag of its object, which a listing tells: so what
// stands here cannot be wrong, and can be deleted at any time. Who may not write it reads the records.
const statusKey = ".status.jsonl"

// statusCache is that object.
type statusCache struct {
	files cloud.Files
	lines map[string][]byte // by the prefix of a task
	mu    sync.Mutex
	tasks map[string]*seenRuns // those that were looked at
}

// seenRuns is what is known of the runs of a task.
type seenRuns struct {
	Prefix string    `json:"prefix"`
	Runs   []seenRun `json:"runs"`

	before map[string]ledger.Run // by ETag
	etags  map[string]string     // by the id of a run, of those that were listed
	fresh  bool                  // there is something new in Runs
}

type seenRun struct {
	ETag string      `json:"etag"`
	Run  ledger.Line `json:"run"`
}

// maxStatus is the size of the largest such object that is read, in bytes.
const maxStatus = 256 << 20

func groupOf(s cloud.Scope) cloud.Scope {
	return cloud.Scope{Stage: s.Stage, ResourceGroup: s.ResourceGroup}
}

// readCaches reads what is known of the groups of scopes.
func (a *App) readCaches(ctx context.Context, t Target, scopes []statusScope) map[cloud.Scope]*statusCache {
	caches := map[cloud.Scope]*statusCache{}
	for _, s := range scopes {
		g := groupOf(s.Scope)
		if caches[g] != nil {
			continue
		}
		c := &statusCache{lines: map[string][]byte{}, tasks: map[string]*seenRuns{}}
		caches[g] = c
		in, err := a.openCloud(ctx, t.at(g), nil)
		if err != nil {
			continue // it is told where the tasks are looked at
		}
		c.files = in.Files
		text, _, err := cloud.Read(ctx, in.Files, statusKey, maxStatus)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			if prefix, rest, ok := bytes.Cut(line, []byte("\t")); ok {
				c.lines[string(prefix)] = rest
			}
		}
	}
	return caches
}

// of returns what is known of a task.
func (c *statusCache) of(prefix string) *seenRuns {
	var old seenRuns
	_ = json.Unmarshal(c.lines[prefix], &old) // what cannot be read is not known
	s := &seenRuns{Prefix: prefix, before: map[string]ledger.Run{}, etags: map[string]string{}}
	for _, r := range old.Runs {
		s.before[r.ETag] = r.Run.Run()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks[prefix] = s
	return s
}

// known is ledger.Bucket.Known. Of one task it is called by one goroutine.
func (s *seenRuns) known(o cloud.Object) (ledger.Run, bool) {
	run, ok := s.before[o.ETag]
	if ok = ok && o.ETag != ""; ok {
		s.etags[run.ID] = o.ETag
		return run, true
	}
	if o.ETag != "" {
		s.etags[ledger.IDOf(o.Key)] = o.ETag
	}
	return ledger.Run{}, false
}

// keep takes over a run as its record says it. One that has not ended is read each time.
func (s *seenRuns) keep(run ledger.Run) {
	if run.Outcome == ledger.Running || run.Outcome == ledger.Damaged || s.etags[run.ID] == "" {
		return
	}
	if _, old := s.before[s.etags[run.ID]]; !old {
		s.fresh = true
	}
	s.Runs = append(s.Runs, seenRun{s.etags[run.ID], ledger.LineOf(run)})
}

// write stores what is new. That it does not work is no harm.
func (c *statusCache) write(ctx context.Context) {
	fresh := false
	for _, s := range c.tasks {
		fresh = fresh || s.fresh
	}
	if !fresh || c.files == nil {
		return
	}
	for prefix, s := range c.tasks {
		text, err := json.Marshal(s)
		if err != nil {
			return
		}
		c.lines[prefix] = append(text, '\n')
	}
	var b bytes.Buffer
	for prefix, line := range c.lines {
		b.WriteString(prefix + "\t")
		b.Write(line)
	}
	_, _ = c.files.Put(ctx, statusKey, cloud.Bytes(b.Bytes()), cloud.PutOptions{Fleeting: true})
}
