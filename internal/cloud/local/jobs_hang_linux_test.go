package local

import (
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// A job that does not hear, since its process is stopped, is killed by who looks at it after its time.
func TestJobThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	job := b.run(b.spec("exec sleep 60"))
	b.await(job.ID, func(j cloud.Job) bool { return j.State == cloud.JobRunning })
	r, err := b.jobs.read(job.ID)
	if err == nil {
		err = syscall.Kill(r.Pid, syscall.SIGSTOP)
	}
	if err == nil {
		_, err = b.jobs.Stop(t.Context(), job.ID, cloud.StopOptions{Grace: time.Second, Reason: "enough"})
	}
	if err != nil {
		t.Fatal(err)
	}
	stop, _ := readStop(b.jobs.path(job.ID))
	stop.Time = time.Now().Add(-time.Minute)
	if err := writeJSON(b.jobs.path(job.ID, stopFile), stop); err != nil {
		t.Fatal(err)
	}
	if end := b.end(job.ID); end.State != cloud.JobStopped || end.Reason != "enough" {
		t.Errorf("job = %+v", end)
	}
}
