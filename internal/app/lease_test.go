package app

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// A run that cannot renew its lease ends before another machine can take it, whether the calls fail or hang: its target is
// killed, and nothing that the next run goes on from is stored.
func TestRunThatCannotRenewItsLease(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(t *testing.T, files cloud.Files) (cloud.Files, func()){
		"fails": func(_ *testing.T, files cloud.Files) (cloud.Files, func()) {
			b := &brokenFiles{Files: files}
			return b, func() { b.part.Store("/lease.json") }
		},
		"hangs": func(t *testing.T, files cloud.Files) (cloud.Files, func()) {
			h := &hangingFiles{Files: files, end: make(chan struct{})}
			t.Cleanup(func() { close(h.end) })
			return h, func() { h.on.Store(true) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, "tasks:\n- name: load\n  state: true\n  kill_after: 600\n  pipeline:\n"+
				"  - command: \"echo begun; trap '' TERM; sleep 600; echo '{\\\"a\\\": 1}'\"\n  - command: \"trap 'echo {}; touch published' TERM; cat; touch published\"\n")
			b.Lease = lease.Times{TTL: 6 * time.Second}
			files, off := broken(t, b.cloud.Files)
			b.through(files)
			ws := filepath.Join(t.TempDir(), "ws")
			var died time.Time
			res, err := b.run(t.Context(), func(o *RemoteOptions) {
				o.WorkspaceDir = ws
				o.Events = func(e pipeline.Event) {
					switch e.Kind {
					case pipeline.StageStarted:
						off()
					case pipeline.StageEnded:
						died = time.Now()
					}
				}
			})
			if err != nil || res.ExitCode != ExitCloud || res.Status != "failed" || !strings.Contains(res.Reason, "lease") {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := os.Stat(filepath.Join(ws, "published")); err == nil {
				t.Error("the target published what it had")
			}
			if strings.HasPrefix(res.Pushed, "archives/") || died.IsZero() {
				t.Errorf("pushed %q, stages ended at %v", res.Pushed, died)
			}
		})
	}
}

// through sends all calls of files from now on through this one.
func (b *bucket) through(files cloud.Files) {
	open := b.OpenCloud
	b.OpenCloud = func(ctx context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := open(ctx, o)
		if err == nil {
			c.Files = files
		}
		return c, err
	}
}

// hangingFiles hangs in puts of leases, without regard to their context, as a disk does that stands still.
type hangingFiles struct {
	cloud.Files
	on  atomic.Bool
	end chan struct{}
}

func (h *hangingFiles) Put(ctx context.Context, key string, body io.Reader, o cloud.PutOptions) (cloud.Object, error) {
	if h.on.Load() && strings.HasSuffix(key, "/lease.json") {
		<-h.end
	}
	return h.Files.Put(ctx, key, body, o)
}
