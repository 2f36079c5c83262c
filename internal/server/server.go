// Package server is the scheduler: it starts the jobs of schedules at their times, for every scope of a provider that has
// no scheduler of its own. What it decides is in the journal of its Store before anything is started, and each start has
// a token, so that neither a kill nor a restart loses or doubles a fire.
// It must not know any provider, print, or look into projects: what a job runs is the job's own matter.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Store keeps the schedules and the journal. Only Fire is called by several goroutines.
type Store interface {
	// Changes returns every schedule at the first call, and later those that may have changed since the last call.
	Changes(ctx context.Context) ([]Entry, error)

	// Record writes to the journal. durable: it outlives a crash of the machine. After an error none of it counts.
	Record(durable bool, records ...FireRecord) error

	// Fire calls start, unless the schedule has been deleted or changed since: then it returns false. While start runs,
	// such a change waits.
	Fire(ctx context.Context, e Entry, start func() error) (there bool, err error)
}

// Options are what a scheduler needs.
type Options struct {
	Store   Store
	Jobs    func(cloud.Scope) cloud.Jobs
	Now     func() time.Time
	Log     *slog.Logger
	Workers int // starts at a time; 0: many

	Notice func(context.Context, Notice) // called for each, several at a time; nil: nobody takes them
}

// Summary counts what a scheduler has done.
type Summary struct {
	Schedules  int `json:"schedules"`
	Started    int `json:"started"`
	Skipped    int `json:"skipped"`     // jobs that did not run, by their overlap policy; not among Started
	Failed     int `json:"failed"`      // fires for which no job could be started
	JobsFailed int `json:"jobs_failed"` // jobs that were started, and failed or were lost
	Missed     int `json:"missed"`
}

const (
	grace   = time.Minute            // later than that a fire is one that was missed
	look    = 500 * time.Millisecond // at the clock, which may be set, and at changes of schedules
	ahead   = 24 * time.Hour         // a journal that is further in the future was written by a wrong clock
	lastWay = 10 * time.Second       // for starts that are under way at the end
	workers = 128                    // a start mostly waits for the disk, and those that wait together share a flush
)

// scheduler is the state of Run. One goroutine owns it; workers get fires and return outcomes.
type scheduler struct {
	Options
	heap    *timers
	entries map[Key]*entry
	ready   []*entry // with a fire that can be started now
	todo    chan fire
	done    chan outcome
	ends    chan ending
	busy    int         // fires that workers have
	running map[Key]int // jobs that are followed
	sum     Summary
	sick    time.Time // until then the store is left alone
	lately  time.Time // when it was last looked for what is late

	followers sync.WaitGroup
	telling   chan struct{} // as full as many notices are being taken
}

// Run serves until ctx ends, which is no error. Starts that are under way are finished first.
func Run(ctx context.Context, o Options) (Summary, error) {
	if o.Workers == 0 {
		o.Workers = workers
	}
	s := &scheduler{
		Options: o, heap: &timers{}, entries: map[Key]*entry{},
		todo: make(chan fire), done: make(chan outcome), ends: make(chan ending), running: map[Key]int{},
		telling: make(chan struct{}, notices),
	}
	ctx, stop := context.WithCancel(ctx)
	defer s.followers.Wait()
	defer stop()
	if err := s.update(ctx); err != nil {
		return s.sum, err
	}
	s.sum.Schedules = len(s.entries)
	s.Log.Info(fmt.Sprintf("serving; schedules: %d", len(s.entries)))
	starts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for range o.Workers {
		go s.work(starts)
	}
	defer close(s.todo)
	s.loop(ctx)
	s.finish(ctx, cancel)
	s.sum.Schedules = len(s.entries)
	return s.sum, nil
}

func (s *scheduler) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	looked := s.Now()
	for {
		todo, next := s.head()
		select {
		case <-ctx.Done():
			return
		case todo <- next:
			s.ready = s.ready[1:]
			s.busy++
		case out := <-s.done:
			s.settle(ctx, out)
		case end := <-s.ends:
			s.jobEnded(ctx, end)
		case <-timer.C:
			now := s.Now()
			if since := now.Sub(looked); since >= look || since < 0 {
				looked = now
				if since < 0 {
					s.checkAll()
				}
				if err := s.update(ctx); err != nil && ctx.Err() == nil {
					s.Log.Error(err.Error())
				}
				s.lateness(ctx, now)
			}
			s.tick(ctx, now)
			timer.Reset(s.pause(now))
		}
	}
}

// head returns the channel to the workers, nil while there is nothing to start, and what to start.
func (s *scheduler) head() (chan<- fire, fire) {
	if len(s.ready) == 0 {
		return nil, fire{}
	}
	e := s.ready[0]
	return s.todo, fire{entry: e, Entry: e.Entry, PendingFire: e.Fires.Pending[0]}
}

// pause is how long nothing has to be done.
func (s *scheduler) pause(now time.Time) time.Duration {
	if now.Before(s.sick) {
		return look
	}
	if next, ok := s.heap.first(); ok {
		return max(min(look, next.Sub(now)), time.Millisecond)
	}
	return look
}

// finish waits for the starts that are under way.
func (s *scheduler) finish(ctx context.Context, cancel context.CancelFunc) {
	timer := time.AfterFunc(lastWay, cancel)
	defer timer.Stop()
	for s.busy > 0 {
		s.settle(ctx, <-s.done)
	}
}

// update takes over schedules that are new or have changed.
func (s *scheduler) update(ctx context.Context) error {
	list, err := s.Store.Changes(ctx)
	for _, n := range list {
		s.replace(ctx, n)
	}
	return err
}

func (s *scheduler) replace(ctx context.Context, n Entry) {
	old := s.entries[n.Key]
	if old != nil && n.Err == nil && !n.Gone && n.Schedule.Since.Equal(old.Schedule.Since) {
		return
	}
	if old != nil {
		old.gone = true
		s.heap.remove(old)
		delete(s.entries, n.Key)
	}
	if n.Gone {
		return
	}
	e, err := newEntry(n)
	if err != nil {
		s.Log.Error(fmt.Sprintf("schedule %s does not fire: %v", n.Key, err))
		return
	}
	s.correct(e)
	s.entries[n.Key] = e
	if e.Fires.Job != "" && s.running[n.Key] == 0 {
		s.follow(ctx, follower{key: n.Key, at: e.Fires.Last, job: e.Fires.Job})
	}
	s.wait(e)
}

// checkAll looks at every schedule after the clock has been set back.
func (s *scheduler) checkAll() {
	for _, e := range s.entries {
		s.correct(e)
		s.wait(e)
	}
}

// correct makes good a journal that a clock in the future has written: nothing would fire until then.
func (s *scheduler) correct(e *entry) {
	now := s.Now().UTC()
	if e.Fires.Through.Before(now.Add(ahead)) {
		return
	}
	s.Log.Warn(fmt.Sprintf("schedule %s has fired for %s, which is in the future: was the clock wrong? It goes on from now",
		e.Key, e.Fires.Through.Format(time.RFC3339)))
	reset := FireRecord{Op: FireReset, ID: e.Key.String(), At: now}
	if err := s.Store.Record(true, reset); err != nil {
		s.Log.Error(err.Error())
	}
	e.Fires.Apply(reset)
	e.next = e.after(now)
}

// tick decides about every fire that is due. All of it is written down at once, before anything is started.
func (s *scheduler) tick(ctx context.Context, now time.Time) {
	if now.Before(s.sick) {
		return
	}
	due := s.heap.until(now)
	var records []FireRecord
	of := make([][]FireRecord, len(due))
	for i, e := range due {
		of[i] = e.decide(now)
		records = append(records, of[i]...)
	}
	if len(records) > 0 {
		if err := s.Store.Record(true, records...); err != nil {
			s.Log.Error(fmt.Sprintf("nothing is started while the journal cannot be written: %v", err))
			s.sick, of = now.Add(time.Second), make([][]FireRecord, len(due))
		}
	}
	for i, e := range due {
		e.advance(of[i])
		s.report(ctx, e.Key, of[i])
		s.wait(e)
	}
}

// report tells of fires that are lost.
func (s *scheduler) report(ctx context.Context, key Key, records []FireRecord) {
	for _, r := range records {
		if r.Op == FireMissed {
			s.sum.Missed += r.Count
			s.Log.Warn(fmt.Sprintf("schedule %s: %d missed up to %s: %s", r.ID, r.Count, r.At.Format(time.RFC3339), r.Reason))
			s.notice(ctx, Notice{Key: key, At: r.At, Reason: fmt.Sprintf("%d missed: %s", r.Count, r.Reason)})
		}
	}
}

// wait puts e where it belongs: among those to start, or among those to wait for, or both.
func (s *scheduler) wait(e *entry) {
	e.held = len(e.Fires.Pending) > 0 && inOrder(e.Schedule, e.Fires.Pending[0]) && s.running[e.Key] > 0
	if len(e.Fires.Pending) > 0 && !e.queued && !e.held && !s.Now().Before(e.retry) {
		e.queued = true
		s.ready = append(s.ready, e)
	}
	s.heap.push(e)
}

// settle takes over what became of a fire.
func (s *scheduler) settle(ctx context.Context, out outcome) {
	s.busy--
	e := out.entry
	e.queued = false
	if e.exhausted(s.Now(), out) {
		out.op = FireFailed
	}
	if out.op == "" { // once more
		e.retried(s.Now())
		s.Log.Warn(fmt.Sprintf("%s could not be started, and is tried again at %s: %v", out.fire, e.retry.UTC().Format(time.TimeOnly), out.err))
	} else {
		s.tell(ctx, out)
		e.tries, e.retry = 0, time.Time{}
		// It need not outlive a crash of the machine: with the same token the same job would be returned.
		if err := s.Store.Record(false, out.record()); err != nil {
			s.Log.Error(err.Error())
		}
		e.Fires.Apply(out.record())
		if out.op == FireStarted {
			s.follow(ctx, follower{out.Key, out.At, out.job, true})
		}
	}
	if !e.gone {
		s.wait(e)
	}
}

func (s *scheduler) tell(ctx context.Context, out outcome) {
	switch out.op {
	case FireStarted:
		s.sum.Started++
		s.Log.Info(fmt.Sprintf("%s: job %s", out.fire, out.job))
	case FireFailed:
		s.sum.Failed++
		s.Log.Error(fmt.Sprintf("%s: no job could be started: %v", out.fire, out.err))
		s.notice(ctx, Notice{Key: out.Key, At: out.At, Reason: fmt.Sprintf("no job could be started: %v", out.err)})
	case FireDropped:
		s.Log.Info(fmt.Sprintf("%s: dropped: the schedule has been changed or deleted", out.fire))
	}
}
