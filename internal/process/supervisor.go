package process

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// errClosed is what Start returns after Close or KillAll.
var errClosed = errors.New("supervisor is closed")

// Options configure a Supervisor.
type Options struct {
	Cookie     string     // unique text of the run: HANDOFF_RUN in the environment of every process
	Guard      []string   // argv that starts the guardian, the path first; the caller's main passes its tail to RunGuard. nil: no guardian
	GuardFiles []*os.File // kept open by the guardian until all processes are gone (a lock, for example)
	GuardArgs  []string   // given back by RunGuard
}

// Supervisor starts the processes of one run and knows those that are left. It is safe for concurrent use.
type Supervisor struct {
	o     Options
	life  sync.RWMutex // read: Start is under way; write: the first Start, or Close
	ready bool
	over  atomic.Bool   // nothing can be started any more
	mark  mark          // of the run; 0: the kernel has none; written by the first Start, with mu held
	count atomic.Uint64 // of the processes started

	null     *os.File
	parent   chan func() // what the parent thread does, see runParent
	stop     chan struct{}
	routines sync.WaitGroup
	guard    *guardian
	guardErr error

	mu        sync.Mutex // held only for moments
	groups    map[int]*Process
	adopting  bool          // handoff was made to adopt orphans
	until     time.Duration // of the shared clock: so long may the processes live; 0: without an end
	unadopted bool          // and yet some may have got away: Close of another Supervisor ended that, or the kernel refused
}

// Leftover is a process that outlived the command that started it.
type Leftover struct {
	Pid     int
	Command string // name of the program, may be empty
}

// NewSupervisor returns a Supervisor that has set up nothing yet: the first Start does.
func NewSupervisor(o Options) *Supervisor {
	return &Supervisor{
		o: o, parent: make(chan func()), stop: make(chan struct{}),
		groups: map[int]*Process{},
	}
}

// Start starts a process in its own group. The error is fs.ErrNotExist (errors.Is) for a program or folder that
// does not exist. The caller closes the files of sp; their ends in the process are in blocking mode.
func (s *Supervisor) Start(sp Spec) (*Process, error) {
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("start %s: %w", sp.Path, err)
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if s.over.Load() {
		return nil, fmt.Errorf("start %s: %w", sp.Path, errClosed)
	}
	if s.timeOver() {
		return nil, fmt.Errorf("start %s: %w", sp.Path, errOver)
	}
	p, err := s.startAnywhere(sp)
	if err != nil {
		return nil, startError(sp, err)
	}
	return p, nil
}

// startAnywhere starts a process on the thread of the caller, without a switch to another one, where a guardian sees to it that
// the process dies with handoff; else, and in place of the main thread, on the parent thread: see runParent.
func (s *Supervisor) startAnywhere(sp Spec) (p *Process, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if s.guarded() && !onMainThread() {
		return s.start(sp, true)
	}
	done := make(chan struct{})
	s.parent <- func() {
		defer close(done)
		s.startGuardian()
		p, err = s.start(sp, s.guarded())
	}
	<-done
	return p, err
}

// Watch makes the Supervisor responsible for processes that others start by Starting, with its Environ: Close and KillAll end
// them, and so does the guardian when handoff is killed. Finding them needs Linux.
func (s *Supervisor) Watch() error {
	if err := s.prepare(); err != nil {
		return fmt.Errorf("watch processes: %w", err)
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if s.over.Load() {
		return fmt.Errorf("watch processes: %w", errClosed)
	}
	s.mu.Lock()
	s.unadopted = true // a process may be there that is nobody's orphan
	s.mu.Unlock()
	done := make(chan struct{})
	s.parent <- func() {
		defer close(done)
		s.startGuardian()
	}
	<-done
	return nil
}

// Starting calls start, which starts one process, so that the process is one of the run. Watch has been called.
func (s *Supervisor) Starting(start func() error) (err error) {
	withMark(s.mark, func() { err = start() })
	return err
}

// Environ returns env with the cookie in it.
func (s *Supervisor) Environ(env []string) []string { return withCookie(env, s.o.Cookie) }

// prepare sets up what the first Start needs.
func (s *Supervisor) prepare() error {
	s.life.RLock()
	ready := s.ready || s.over.Load()
	s.life.RUnlock()
	if ready {
		return nil
	}
	s.life.Lock()
	defer s.life.Unlock()
	if s.ready || s.over.Load() {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.null, s.mark = null, workingMark()
	s.mu.Unlock()
	guard, err := newGuardian(s.o)
	if err != nil {
		_ = null.Close()
		return err
	}
	s.mu.Lock()
	s.guard = guard
	s.mu.Unlock()
	s.ready = true
	s.routines.Go(s.runParent)
	s.routines.Go(s.tick)
	return nil
}

// runParent starts processes on one thread that lives as long as they do. The death signal that they are given where there is
// no guardian is sent at the end of the *thread* that started them: the Go runtime ends a thread when a goroutine that is locked
// to it returns, and such a goroutine may, at another time, use any thread that is not locked.
//
// The main thread is left alone: it adopts orphans, and must have no other children to confuse them with.
func (s *Supervisor) runParent() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if onMainThread() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.runParent()
		}()
		<-done
		return
	}
	defer defaultSignals()()
	for fn := range s.parent {
		fn()
	}
}

// start runs on a thread that is not the main one. Until the process is registered nobody can take its exit for that of an orphan:
// orphans are the children of the main thread.
func (s *Supervisor) start(sp Spec, guarded bool) (*Process, error) {
	was, is := adoptOrphans()
	m := s.mark.command(s.count.Add(1))
	pid, pidfd, err := s.fork(sp, m, guarded)
	if err != nil {
		return nil, err
	}
	p := &Process{s: s, pid: pid, mark: m, done: make(chan struct{}), sampled: Usage{Read: -1, Written: -1}}
	p.floor = ownPeak() + 1<<20 // the counters of the kernel are exact to some pages for each processor
	s.mu.Lock()
	s.unadopted = s.unadopted || !is || s.adopting && !was
	s.adopting = true
	s.groups[pid] = p
	s.tellGroup(opStarted, pid)
	s.mu.Unlock()
	if s.over.Load() { // KillAll did not know of it
		p.Signal(syscall.SIGKILL)
	}
	go p.watch(pidfd)
	return p, nil
}

// tellGroup tells the guardian of a group that it could not find by its mark.
func (s *Supervisor) tellGroup(op byte, pgid int) {
	if s.mark == 0 {
		s.guard.tell(op, pgid)
	}
}

// startGuardian runs on the parent thread too, before the first process: at no moment is there one without a guardian.
func (s *Supervisor) startGuardian() {
	s.mu.Lock()
	begun := s.guard.pid != 0
	if !begun {
		s.tellUntil()
	}
	s.mu.Unlock()
	if begun {
		return
	}
	var pid int
	var err error
	withMark(s.mark, func() { pid, err = s.guard.start(s.null) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guard.pid, s.guardErr = pid, err
}

func (s *Supervisor) guarded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard.pid > 0
}

// keepGuardian starts another guardian when this one was killed.
func (s *Supervisor) keepGuardian() {
	s.life.RLock()
	defer s.life.RUnlock()
	if !s.ready || s.over.Load() || !s.guardianDied() {
		return
	}
	done := make(chan struct{})
	s.parent <- func() {
		defer close(done)
		s.startGuardian()
	}
	<-done
}

func (s *Supervisor) guardianDied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guard.pid <= 0 {
		return false
	}
	pid, err := syscall.Wait4(s.guard.pid, nil, syscall.WNOHANG, nil)
	if err != nil || pid != s.guard.pid {
		return false
	}
	s.guard.pid = 0
	for pgid := range s.groups {
		s.tellGroup(opStarted, pgid)
	}
	return true
}

// fork starts the process with mark m and returns its id, and a descriptor for it or -1.
func (s *Supervisor) fork(sp Spec, m mark, guarded bool) (pid, pidfd int, err error) {
	files := []*os.File{sp.Stdin, sp.Stdout, sp.Stderr}
	for i, f := range files {
		if f == nil {
			files[i] = s.null
		}
	}
	fds, err := descriptors(append(files, sp.Extra...))
	if err != nil {
		return 0, -1, err
	}
	pidfd = -1
	attr := &syscall.ProcAttr{
		Dir:   sp.Dir,
		Env:   withCookie(sp.Env, s.o.Cookie),
		Files: fds,
		Sys:   childAttr(&pidfd, guarded),
	}
	withMark(m, func() { pid, _, err = syscall.StartProcess(sp.Path, sp.Args, attr) })
	runtime.KeepAlive(files)
	runtime.KeepAlive(sp.Extra)
	return pid, pidfd, err
}

func descriptors(files []*os.File) ([]uintptr, error) {
	fds := make([]uintptr, len(files))
	for i, f := range files {
		if fds[i] = f.Fd(); fds[i] == ^uintptr(0) {
			return nil, fmt.Errorf("descriptor %d of the process: %w", i, os.ErrClosed)
		}
	}
	return fds, nil
}

// cookieKey is the environment variable by which the processes of a run are known.
const cookieKey = "HANDOFF_RUN"

func withCookie(env []string, cookie string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if !strings.HasPrefix(kv, cookieKey+"=") && !strings.HasPrefix(kv, guardKey+"=") {
			out = append(out, kv)
		}
	}
	return append(out, cookieKey+"="+cookie)
}

// startError says which of the two is missing: execve and chdir answer alike.
func startError(sp Spec, err error) error {
	if sp.Dir != "" {
		if fi, serr := os.Stat(sp.Dir); serr != nil {
			return fmt.Errorf("start %s: %w", sp.Path, serr)
		} else if !fi.IsDir() {
			return fmt.Errorf("start %s: %w", sp.Path, &fs.PathError{Op: "chdir", Path: sp.Dir, Err: syscall.ENOTDIR})
		}
	}
	return fmt.Errorf("start %s: %w", sp.Path, err)
}

// forget takes a group without members off the list.
func (s *Supervisor) forget(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[p.pid] == p {
		delete(s.groups, p.pid)
		s.tellGroup(opEnded, p.pid)
	}
}

// processes returns those whose group is not known to be empty.
func (s *Supervisor) processes() []*Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.groups))
}

// Leftovers returns the live processes of the run that are neither a running Process nor in the group of one.
func (s *Supervisor) Leftovers() []Leftover {
	running := map[int]bool{}
	for _, p := range s.processes() {
		select {
		case <-p.done:
		default:
			running[p.pid] = true
		}
	}
	return leftovers(slices.DeleteFunc(s.remains(), func(m member) bool { return running[m.pgrp] }))
}

func leftovers(members []member) []Leftover {
	var left []Leftover
	for _, m := range members {
		left = append(left, Leftover{Pid: m.pid, Command: m.comm})
	}
	return left
}

// KillAll sends SIGKILL to every process of the run, at once and without waiting. Nothing can be started any more.
func (s *Supervisor) KillAll() {
	s.over.Store(true)
	s.end(syscall.SIGKILL)
}

// Close ends whatever is left of the run: SIGTERM, then SIGKILL after grace. It returns when nothing is left, or
// with an error that names what could not be ended. Nothing can be started any more. It may be called again.
func (s *Supervisor) Close(grace time.Duration) error {
	s.life.Lock()
	ready := s.ready
	s.ready = false
	s.over.Store(true)
	s.life.Unlock()
	if !ready {
		return nil
	}
	err := s.sweep(grace)
	for _, p := range s.processes() { // nobody keeps an eye on their numbers any more
		p.abandon()
	}
	close(s.stop)
	close(s.parent)
	s.routines.Wait()
	s.guard.release()
	s.disown()
	return errors.Join(err, s.guardErr, s.null.Close())
}

// sweep ends all processes of the run.
func (s *Supervisor) sweep(grace time.Duration) error {
	for _, step := range []step{{syscall.SIGTERM, grace}, {syscall.SIGKILL, killWait}} {
		if step.wait == 0 || s.awaitNone(0) {
			continue
		}
		told := s.end(step.sig)
		s.awaitNone(step.wait)
		for _, pid := range told {
			s.reapOrphan(pid)
		}
	}
	return stuck(s.remains())
}

// awaitNone waits until no process of the run is left, and reports whether that came about within d. It looks twice: a process
// whose parent ends while the table is read may be in none of the lists.
func (s *Supervisor) awaitNone(d time.Duration) bool {
	begin, pause := time.Now(), time.Millisecond
	for none := 0; none < 2; {
		if len(s.remains()) == 0 {
			none++
			continue
		}
		if none = 0; time.Since(begin) >= d {
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, 20*time.Millisecond)
	}
	return true
}

// member is a live process of the run.
type member struct {
	pid, pgrp int
	comm      string
}

func stuck(left []member) error {
	if len(left) == 0 {
		return nil
	}
	names := make([]string, len(left))
	for i, m := range left {
		names[i] = fmt.Sprintf("%s (pid %d)", m.comm, m.pid)
	}
	return fmt.Errorf("end leftover processes: still there after SIGKILL: %s", strings.Join(names, ", "))
}
