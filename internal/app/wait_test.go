package app

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// shaky returns each call with the next of its errors, nil for one that works; then all work. A job runs until `ends`.
type shaky struct {
	cloud.Jobs
	cloud.Logs
	mu     sync.Mutex
	errs   []error
	calls  int
	ends   time.Time
	lines  []cloud.Line
	breaks []int // after so many lines a reading breaks off
}

func (s *shaky) Run(context.Context, cloud.Start) (cloud.Job, error) {
	return cloud.Job{ID: "j", State: cloud.JobRunning}, nil
}

func (s *shaky) Status(context.Context, string) (cloud.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return cloud.Job{}, err
	}
	if time.Now().Before(s.ends) {
		return cloud.Job{ID: "j", State: cloud.JobRunning}, nil
	}
	return cloud.Job{ID: "j", State: cloud.JobSucceeded}, nil
}

func (s *shaky) Read(ctx context.Context, q cloud.Query) iter.Seq2[cloud.Line, error] {
	return func(yield func(cloud.Line, error) bool) {
		n := 0
		lines := slices.DeleteFunc(slices.Clone(s.lines), func(l cloud.Line) bool { return !q.Match(l) })
		if q.Tail > 0 {
			lines = lines[max(0, len(lines)-q.Tail):]
		}
		for _, l := range lines {
			if len(s.breaks) > 0 && n == s.breaks[0] {
				s.breaks = s.breaks[1:]
				yield(cloud.Line{}, errors.New("connection reset"))
				return
			}
			if n++; !yield(l, nil) {
				return
			}
		}
		if q.Follow {
			select {
			case <-q.Done:
			case <-ctx.Done():
			}
		}
	}
}

func (s *shaky) app(log *strings.Builder) *App {
	return &App{
		Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
		OpenCloud: func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) {
			return cloud.Complete(cloud.Cloud{Provider: o.Provider, Scope: o.Scope, Jobs: s, Logs: s}), nil
		},
	}
}

var anywhere = Target{Envs: []project.KeyValue{{Key: "resource_group", Value: "g"}, {Key: "task", Value: "t"}}}

// Waiting goes on where calls fail for a while, and says so once.
func TestWaitOutlivesFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad := cloud.Temporary(errors.New("throttled"))
		s := &shaky{errs: slices.Repeat([]error{bad, errors.New("no route to host")}, 20), ends: time.Now().Add(time.Hour)}
		var log strings.Builder
		res, err := s.app(&log).CloudRun(t.Context(), CloudRunOptions{Target: anywhere, Wait: true})
		if err != nil || res.State != cloud.JobSucceeded {
			t.Errorf("%+v, %v", res, err)
		}
		if n := strings.Count(log.String(), "trying again"); n != 1 || !strings.Contains(log.String(), "works again") {
			t.Errorf("said %d times: %s", n, log.String())
		}
		if s.calls > 4000 { // one a second in the hour, and few of those that failed
			t.Errorf("%d calls", s.calls)
		}
	})
}

func TestWaitEndsWithWhatIsFinal(t *testing.T) {
	t.Parallel()
	for _, final := range []error{cloud.ErrNotFound, cloud.ErrInvalid, cloud.ErrDenied} {
		synctest.Test(t, func(t *testing.T) {
			s := &shaky{errs: []error{errors.New("reset"), final}, ends: time.Now().Add(time.Hour)}
			began := time.Now()
			_, err := s.app(&strings.Builder{}).CloudRun(t.Context(), CloudRunOptions{Target: anywhere, Wait: true})
			if !errors.Is(err, final) || !strings.Contains(err.Error(), "job j") || time.Since(began) > time.Minute {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
}

func withVars(t Target, key, value string) Target {
	t.Vars = append(slices.Clone(t.Vars), project.KeyValue{Key: key, Value: value})
	return t
}

func TestWaitEndsWithTheUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shaky{errs: slices.Repeat([]error{errors.New("reset")}, 1000), ends: time.Now().Add(time.Hour)}
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		began := time.Now()
		time.AfterFunc(time.Minute, func() { cancel(enough) })
		_, err := s.app(&strings.Builder{}).CloudRun(ctx, CloudRunOptions{Target: anywhere, Wait: true, Line: func(cloud.Line) {}})
		on, ok := errors.AsType[*GoesOnError](err)
		if !ok || on.Job != "j" || !errors.Is(err, enough) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A log that breaks off goes on at the line at which it did, also among lines of one time.
func TestLogGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shaky{breaks: []int{0, 2, 3, 1}, ends: time.Now().Add(time.Hour)}
		var want []string
		for i, text := range []string{"a", "b", "b", "b", "c", "d", "d", "e"} {
			s.lines = append(s.lines, cloud.Line{Time: time.Date(2026, 1, 2, 3, 4, i/4, 0, time.UTC), JobID: "j", Text: text})
			want = append(want, text)
		}
		var got []string
		_, err := s.app(&strings.Builder{}).CloudRun(t.Context(), CloudRunOptions{Target: anywhere, Wait: true, Line: func(l cloud.Line) { got = append(got, l.Text) }})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s, %v", diff, err)
		}
	})
}

// The last lines stay those that were the last ones when the reading began.
func TestTailGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		s := &shaky{breaks: []int{0, 2}}
		for i := range 6 {
			s.lines = append(s.lines, cloud.Line{Time: time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), JobID: "j", Text: strconv.Itoa(i)})
		}
		var got []string
		err := s.app(&strings.Builder{}).Logs(ctx, LogsOptions{
			Target: anywhere, Limit: 4, Follow: true, Line: func(l cloud.Line) error { got = append(got, l.Text); return nil },
		})
		if diff := cmp.Diff([]string{"2", "3", "4", "5"}, got); diff != "" || err != nil {
			t.Errorf("%s, %v", diff, err)
		}
	})
}

func TestStopCommand(t *testing.T) {
	t.Parallel()
	target := Target{ProjectDir: "my project", EnvStage: "prod", Envs: anywhere.Envs, Cloud: CloudFlags{Profile: "ann"}}
	want := `handoff cloud job stop -p 'my project' -s prod -e resource_group=g -e task=t --cloud-profile ann --job j`
	if got := StopCommand(withVars(target, "start", "x"), "j"); got != want {
		t.Errorf("got %s", got)
	}
}
