package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/state"
)

// Change is what is to become current. What it does not speak of stays as it is.
type Change struct {
	By      By
	Writer  string // id of the run, or of the change by hand
	Fence   int64  // of the lease under which it is made; 0: none
	States  []state.Version
	Push    *artifact.PushOptions           // a folder that becomes the artifacts; nil: they stay
	Delete  bool                            // there are no artifacts any more
	Restore string                          // name of an archive, of which a copy becomes the artifacts
	Keep    int                             // archives beyond so many are removed, with Restore
	Also    func(ctx context.Context) error // stores something else that has to be there before; may be nil

	// After is the last commit that the writer knows of: it need not be read, and if it is not the last one any more that is found
	// out by the write. nil: it is read.
	After *Commit
}

// Done is a change that was made.
type Done struct {
	Commit
	Versions []state.Version // in the order of Change.States
	Pushed   artifact.Pushed // with Push or Restore
	Untidy   error           // something that is not current any more is still there; a later commit tries again
}

// Commit stores what ch has and then makes all of it current with one write. An error says that nothing of it is, unless its
// text says that this is not known. cloud.ErrConflict: another run has taken over the task.
func (s *Store) Commit(ctx context.Context, ch Change) (Done, error) {
	before, err := s.before(ctx, ch)
	if err == nil && before.etag == "" && !before.damaged { // from now on nothing counts that is not named
		before, err = s.Claim(ctx, ch.Fence, ch.Writer)
	}
	if err != nil {
		return Done{}, err
	}
	var d Done
	if d.Versions, d.Pushed, err = s.store(ctx, ch, before); err != nil {
		return Done{}, err
	}
	d.Commit, err = s.change(ctx, ch, func(c *Commit) {
		for _, v := range d.Versions {
			c.States[v.Key()] = v.Ref()
		}
		switch {
		case ch.Push != nil, ch.Restore != "":
			c.Artifacts = d.Pushed.Name
		case ch.Delete:
			c.Artifacts = ""
		}
		if ch.By == ByRun {
			c.RunID, c.Ended = ch.Writer, c.Time
		}
	})
	if err != nil {
		return Done{}, err
	}
	d.Untidy = s.tidy(ctx, ch, before, d)
	return d, nil
}

// before returns the commit that ch follows.
func (s *Store) before(ctx context.Context, ch Change) (Commit, error) {
	if ch.After != nil {
		return *ch.After, nil
	}
	return s.read(ctx, ch.By)
}

// store stores the parts of ch at the same time, and names none of them.
func (s *Store) store(ctx context.Context, ch Change, before Commit) ([]state.Version, artifact.Pushed, error) {
	var wg sync.WaitGroup
	var pushed artifact.Pushed
	var pushErr, alsoErr error
	switch {
	case ch.Restore != "":
		wg.Go(func() { pushed.Archive, pushErr = s.Artifacts.Copy(ctx, ch.Restore, before.Artifacts, ch.Fence) })
	case ch.Push != nil:
		wg.Go(func() { pushed, pushErr = s.Artifacts.Upload(ctx, before.Artifacts, *ch.Push) })
	}
	if ch.Also != nil {
		wg.Go(func() { alsoErr = ch.Also(ctx) })
	}
	versions := slices.Clone(ch.States)
	order := make([]int, len(versions))
	for i := range order {
		order[i] = i
	}
	err := cloud.Each(ctx, s.States.Parallel, order, func(ctx context.Context, i int) (err error) {
		v := versions[i]
		v.RunID, v.Fence = ch.Writer, max(ch.Fence, before.Fence)
		versions[i], err = s.States.Put(ctx, v, before.States[v.Key()])
		return err
	})
	wg.Wait()
	return versions, pushed, errors.Join(err, pushErr, alsoErr)
}

// tidy removes what is not current any more.
func (s *Store) tidy(ctx context.Context, ch Change, before Commit, d Done) error {
	var wg sync.WaitGroup
	var artifacts error
	if ch.Push != nil || ch.Delete || ch.Restore != "" {
		wg.Go(func() {
			keep := ch.Keep
			if ch.Push != nil {
				keep = ch.Push.Keep
			}
			settled := s.Artifacts.Settle(ctx, d.Pushed.Archive, s.archive, ch.Fence, keep)
			now, err := s.archive(ctx)
			if err == nil {
				err = s.Artifacts.Show(ctx, now)
			}
			artifacts = errors.Join(settled, err)
		})
	}
	states := cloud.Each(ctx, s.States.Parallel, d.Versions, func(ctx context.Context, v state.Version) error {
		return s.States.Tidy(ctx, v, before.States[v.Key()])
	})
	wg.Wait()
	return errors.Join(states, artifacts)
}

// archive returns the archive from which the next run goes on.
func (s *Store) archive(ctx context.Context) (string, error) {
	c, err := s.Read(ctx)
	return c.Artifacts, err
}

// Sweep removes the archives that l does not keep, but never the one from which the next run goes on.
func (s *Store) Sweep(ctx context.Context, l artifact.Limit) error {
	return s.Artifacts.Sweep(ctx, s.archive, l)
}

// PushApart stores what a failed run has left where no run goes on from.
func (s *Store) PushApart(ctx context.Context, o artifact.PushOptions) (artifact.Pushed, error) {
	now, err := s.Read(ctx)
	if err != nil {
		return artifact.Pushed{}, err
	}
	o.Failed = true
	pushed, err := s.Artifacts.Upload(ctx, now.Artifacts, o)
	if err == nil {
		err = s.Artifacts.Settle(ctx, pushed.Archive, s.archive, o.Fence, o.Keep)
	}
	return pushed, err
}

// Archive copies the artifacts from which the next run goes on into a new archive. cloud.ErrNotFound: there are none.
func (s *Store) Archive(ctx context.Context, keep int) (artifact.Archive, error) {
	now, err := s.Read(ctx)
	if err != nil {
		return artifact.Archive{}, err
	}
	if now.Artifacts == "" {
		return artifact.Archive{}, NoArtifacts(s.Prefix)
	}
	a, err := s.Artifacts.Copy(ctx, now.Artifacts, now.Artifacts, 0)
	if err == nil {
		err = s.Artifacts.Settle(ctx, a, s.archive, 0, keep)
	}
	return a, err
}

// NoArtifacts is the error of who looks for artifacts where there are none.
func NoArtifacts(task string) error {
	return cloud.WithHint(fmt.Errorf("artifacts of task %q: %w", task, cloud.ErrNotFound), "a successful `handoff run -a` or `handoff artifacts push` makes some")
}

// State returns the version of a pipeline from which the next run goes on. cloud.ErrNotFound: it has none.
func (s *Store) State(ctx context.Context, c Commit, name string) (state.Version, error) {
	ref, ok := c.States[name]
	if !ok {
		return state.Version{}, fmt.Errorf("state of %q: %w", name, cloud.ErrNotFound)
	}
	return s.States.At(ctx, name, ref.Seq)
}

// Names returns the pipelines that have a state, sorted.
func (c Commit) Names() []string { return slices.Sorted(maps.Keys(c.States)) }
