package ledger

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// large begins so many tasks that the record has some megabytes.
func large(r *Recorder, tasks int) {
	for i := range tasks {
		name := []string{fmt.Sprintf("task-%d", i)}
		r.Event(pipeline.Event{Kind: pipeline.TaskStarted, Task: name, Try: 1, Time: time.Now()})
		r.Event(pipeline.Event{Kind: pipeline.StageStarted, Task: name, Stage: "sleep", Time: time.Now()})
	}
}

// A disk that takes nothing any more stops the record, not the run.
func TestEventsDoNotWaitForTheDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	r, err := NewRecorder(path, Run{ID: "r1"}, none)
	if err != nil {
		t.Fatal(err)
	}
	slow := filepath.Join(filepath.Dir(path), "."+FileName+".new")
	if err := syscall.Mkfifo(slow, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(slow, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	large(r, 3000)
	for held := 0; held < 4096; time.Sleep(10 * time.Millisecond) { // until the record is being written, and cannot
		if held, err = unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 {
		r.Event(pipeline.Event{Kind: pipeline.TaskEnded, Task: []string{fmt.Sprintf("task-%d", i)}, Time: time.Now(), Result: &pipeline.Result{Outcome: pipeline.Success}})
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, os.NewFile(uintptr(fd), slow)) // the disk works again
	if _, err := r.Finish("success", "", 0); err != nil {
		t.Fatal(err)
	}
	run, err := Read(path)
	if err != nil || run.Outcome != "success" || len(run.Tasks) != 3000 || run.Tasks[2999].Outcome != "success" {
		t.Errorf("%d tasks, %v", len(run.Tasks), err)
	}
}

// counted counts the bytes that are put into a bucket.
type counted struct {
	cloud.Files
	bytes atomic.Int64
}

func (c *counted) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	done, err := c.Files.Put(ctx, key, body, o)
	c.bytes.Add(done.Size)
	return done, err
}

// A run of 3,000 tasks in which nothing happens writes nothing on the disk, and no more into the bucket than signs of life
// take; one in which something happens all the time keeps to a rate.
func TestLargeRecordsAreWrittenSeldom(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	synctest.Test(t, func(t *testing.T) {
		files := &counted{Files: &memory.Files{}}
		r, err := NewRecorder(path, finished(newYear, 1), none)
		if err != nil {
			t.Fatal(err)
		}
		m, err := (&Bucket{Files: files, Prefix: "t", Parallel: 1}).Follow(t.Context(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		large(r, 1000)
		time.Sleep(2 * writeLeast)
		files.bytes.Store(0)
		const length = 3 * time.Minute
		if n := onDisk(t, path, length, func() {}); n != 0 {
			t.Errorf("%d bytes written while nothing happened", n)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, most := files.bytes.Load(), info.Size()*int64(length/signOfLife); n == 0 || n > most {
			t.Errorf("%d bytes put while nothing happened, for a record of %d", n, info.Size())
		}
		files.bytes.Store(0)
		busy := func() {
			r.Event(pipeline.Event{Kind: pipeline.TaskStarted, Task: []string{"task-1"}, Try: 2, Time: time.Now()})
		}
		most := int64(length.Seconds())*writeRate + 2*info.Size()
		if n := onDisk(t, path, length, busy); n == 0 || n > most {
			t.Errorf("%d bytes written, at most %d are right", n, most)
		}
		if n := files.bytes.Load(); n == 0 || n > most {
			t.Errorf("%d bytes put, at most %d are right", n, most)
		}
		m.Close()
		if _, err := r.Finish("success", "", 0); err != nil {
			t.Fatal(err)
		}
	})
}

// onDisk returns how many bytes were written in place of the file at path while time goes by; each second it calls do.
func onDisk(t *testing.T, path string, length time.Duration, do func()) (written int64) {
	t.Helper()
	last := uint64(0)
	for at := time.Duration(0); at < length; at += time.Second {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if inode := info.Sys().(*syscall.Stat_t).Ino; inode != last {
			if last != 0 {
				written += info.Size()
			}
			last = inode
		}
		do()
		time.Sleep(time.Second)
	}
	return written
}

func TestSmallRecordsAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]time.Duration{2 << 10: writeEvery, 2 << 20: 16 * time.Second, 1 << 30: writeLeast} {
		if got := pause(size, time.Millisecond); got != want {
			t.Errorf("%d bytes: %v, want %v", size, got, want)
		}
	}
	if got := pause(100, 200*time.Millisecond); got != 20*time.Second {
		t.Errorf("on a slow disk: %v", got)
	}
}
