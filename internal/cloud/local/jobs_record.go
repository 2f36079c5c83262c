package local

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
)

// jobRecord is job.json. The starter writes it first, then only the job, and when that is gone whoever finds it so.
type jobRecord struct {
	Format int `json:"handoff_job"` // 1
	cloud.Job
	Start     cloud.Start   `json:"start"`
	Timeout   time.Duration `json:"timeout,omitempty"`   // nanoseconds
	Pid       int           `json:"pid,omitempty"`       // of the job; 0: it has not come up yet
	Cgroups   []string      `json:"cgroups,omitempty"`   // folders that were made for the job
	Workspace string        `json:"workspace,omitempty"` // folder; the next job of the task may be using it now
}

// stopRequest is the file "stop".
type stopRequest struct {
	Time   time.Time     `json:"time"`
	Grace  time.Duration `json:"grace,omitempty"` // nanoseconds
	Reason string        `json:"reason"`
}

// A job id is the time of the start and a hash of the token: it sorts by time, and tells whether a token is known.
const (
	jobTime   = "20060102T150405.000Z"
	markWidth = 12
)

func tokenMark(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "-" + hex.EncodeToString(sum[:])[:markWidth]
}

// newJobID returns an id that is higher than all there are, also when the clock has been set back.
func newJobID(ids []string, mark string) string {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if len(ids) > 0 {
		if last, err := time.Parse(jobTime, ids[len(ids)-1][:len(jobTime)]); err == nil && !now.After(last) {
			now = last.Add(time.Millisecond)
		}
	}
	return now.Format(jobTime) + mark
}

func isJobID(name string) bool {
	if len(name) != len(jobTime)+1+markWidth || name[len(jobTime)] != '-' {
		return false
	}
	_, err := time.Parse(jobTime, name[:len(jobTime)])
	_, bad := hex.DecodeString(name[len(jobTime)+1:])
	return err == nil && bad == nil
}

// The names of files of a job.
const (
	recordFile = "job.json"
	busyFile   = "busy"
	stopFile   = "stop"
	crashFile  = "crash.log" // what the process of the job said beside its log; empty as a rule
)

func (j *Jobs) path(id string, more ...string) string {
	// On a file system that ignores case an id is still itself: its letters are those of the format and of hex digits.
	return filepath.Join(append([]string{j.dir, id}, more...)...)
}

// lock keeps two starts of the task from being decided at a time.
func (j *Jobs) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := lockFile(ctx, filepath.Join(j.dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// ids returns all jobs, ascending.
func (j *Jobs) ids() ([]string, error) {
	list, err := names(j.dir)
	list = slices.DeleteFunc(list, func(name string) bool { return !isJobID(name) })
	slices.Sort(list)
	return list, err
}

// busy reports whether a process of the job is there.
func (j *Jobs) busy(id string) bool {
	f, err := os.Open(j.path(id, busyFile))
	if err != nil {
		return false
	}
	defer f.Close() // frees the lock
	return errors.Is(flock(f, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// read returns the record of a job. cloud.ErrCorrupt: it is not what handoff wrote.
func (j *Jobs) read(id string) (*jobRecord, error) { return readJob(j.path(id)) }

func readJob(dir string) (*jobRecord, error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("job: %w", cloud.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	var r jobRecord
	if err := json.Unmarshal(text, &r); err != nil || r.Format != 1 || r.ID != filepath.Base(dir) {
		return nil, cloud.WithHint(fmt.Errorf("record: %w", cloud.ErrCorrupt),
			"what became of this job is in its log and in the run record; the folder "+dir+" can be removed")
	}
	return &r, nil
}

// save replaces the record; only one process may do so at a time. durable: it outlives a crash of the machine.
func (r *jobRecord) save(dir string, durable bool) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recordFile)
	if durable {
		return atomicfile.WriteDurable(path, append(text, '\n'), 0o600)
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}

const (
	comeUp   = 10 * time.Second // for a starter to start the process
	overtime = 10 * time.Second // for a job to end itself, after the grace time
)

// facts are what can be seen of a job from outside.
type facts struct {
	rec   *jobRecord   // as it was written last
	busy  bool         // a process of it is there
	stop  *stopRequest // nil: nobody has asked it to end
	young bool         // made less than comeUp ago
}

// observe says what the job is:
//
//	record      busy  stop    the job is
//	ended       -     -       as recorded
//	-           yes   no      as recorded
//	-           yes   yes     stopping
//	not up yet  no    -       starting while it is young, then lost: its starter was killed
//	up          no    no      lost: it was killed, the machine went down, or the disk was full
//	up          no    yes     stopped
//
// settled: it will not change any more, which is to be written down.
func (f facts) observe() (job cloud.Job, settled bool) {
	job = f.rec.Job
	switch {
	case job.State.Ended():
	case f.busy && f.stop != nil:
		job.State, job.Reason = cloud.JobStopping, f.stop.Reason
	case f.busy:
	case f.rec.Pid == 0 && f.young:
	case f.rec.Pid == 0: // another Run with its token starts it
		job.State, job.Reason = cloud.JobLost, "what asked for it ended before it could start it"
	case f.stop != nil:
		job.State, job.Reason, settled = cloud.JobStopped, f.stop.Reason, true
	default:
		job.State, job.Reason, settled = cloud.JobLost, "its process was killed, the machine went down, or its disk was full", true
	}
	return job, settled
}

// settle returns the job as it is, and writes down what nobody else can any more.
func (j *Jobs) settle(r *jobRecord) (cloud.Job, error) {
	if r.State.Ended() {
		return r.Job, nil
	}
	f, err := os.OpenFile(j.path(r.ID, busyFile), os.O_RDWR, 0o600)
	if err != nil {
		return r.Job, nil // pruned meanwhile
	}
	defer f.Close() // frees the lock
	busy := errors.Is(flock(f, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	if !busy { // it may have come to its end since it was read
		if r, err = j.read(r.ID); err != nil {
			return cloud.Job{}, err
		}
	}
	now := facts{rec: r, busy: busy, young: time.Since(r.Created) <= comeUp}
	if stop, asked := readStop(j.path(r.ID)); asked {
		now.stop = &stop
		j.enforce(r, stop, busy)
	}
	job, settled := now.observe()
	if !settled {
		return job, nil
	}
	return j.recordEnd(r, job)
}

// recordEnd writes down how a job ended that could not do so itself; its busy file is locked.
func (j *Jobs) recordEnd(r *jobRecord, job cloud.Job) (cloud.Job, error) {
	job.Reason += r.shortOfMemory()
	if text, _ := os.ReadFile(j.path(r.ID, crashFile)); len(text) > 0 {
		line, _, _ := strings.Cut(string(text), "\n")
		job.Reason += "; it said: " + strings.ToValidUTF8(line, "?")
	}
	removeCgroups(r.Cgroups)
	job.Ended = time.Now().UTC()
	r.Job, r.Cgroups = job, nil
	logs := j.home.Logs(j.scope)
	j.say(logs, r, "job "+string(job.State)+": "+job.Reason)
	_ = logs.Close()
	return job, r.save(j.path(r.ID), true)
}

// enforce kills a job that does not end itself after it was asked to: its process is stopped, or hangs.
func (j *Jobs) enforce(r *jobRecord, stop stopRequest, busy bool) {
	grace := cmp.Or(stop.Grace, defaultGrace)
	if busy && r.Pid > 0 && time.Since(stop.Time) > grace+overtime && isProcessOf(r.Pid, r.ID) {
		_ = unix.Kill(r.Pid, unix.SIGKILL)
	}
}

// requestStop asks the job to end; the task is locked. The first reason is the one that counts.
func (j *Jobs) requestStop(id string, o cloud.StopOptions) error {
	stop, asked := readStop(j.path(id))
	if !asked {
		stop = stopRequest{Time: time.Now().UTC(), Reason: strings.ToValidUTF8(o.Reason, "?")}
	}
	if asked && o.Grace == stop.Grace {
		return nil
	}
	stop.Grace = o.Grace
	return writeJSON(j.path(id, stopFile), stop)
}

func readStop(dir string) (stopRequest, bool) {
	text, err := os.ReadFile(filepath.Join(dir, stopFile))
	if err != nil {
		return stopRequest{}, false
	}
	var s stopRequest
	if json.Unmarshal(text, &s) != nil {
		s.Reason = "stopped on request"
	}
	return s, true
}
