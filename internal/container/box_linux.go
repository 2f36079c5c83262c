package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolate gives the command a table of mounts, of processes and of shared memory of its own: with its first process everything in it is gone. Who is not
// root is root in there, and nowhere else.
func isolate(cmd *exec.Cmd) {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
}

// entryFD is where EnterBox finds what it is told.
const entryFD = 3

// EnterBox makes this process, which Box.Run has started, the program of the box. It returns only where that fails, with the exit code
// for it.
func EnterBox() (code int, err error) {
	runtime.LockOSThread() // rights are those of a thread
	var e entry
	from := os.NewFile(entryFD, "entry")
	if err := json.NewDecoder(from).Decode(&e); err != nil {
		return exitNoBox, fmt.Errorf("enter an image: %w", err)
	}
	_ = from.Close() // read to its end
	if err := e.mount(); err != nil {
		return exitNoBox, fmt.Errorf("enter an image: %w", err)
	}
	if err := giveUp(); err != nil {
		return exitNoBox, fmt.Errorf("enter an image: give up rights: %w", err)
	}
	return 127, fmt.Errorf("start %s: %w", e.Args[0], unix.Exec(e.Args[0], e.Args, e.Env))
}

// kept are the rights of root over files that a program of a box keeps. With those over mounts, folders, devices and processes it could
// change the files of the image, or leave the box.
func kept() []int {
	return []int{unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL}
}

// giveUp takes all other rights from the program that this thread is to become, and from all that it starts.
func giveUp() error {
	for right := 0; ; right++ {
		if slices.Contains(kept(), right) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(right), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // it was the last one that this kernel has
			return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		}
		if err != nil {
			return err
		}
	}
}

// tree is a part of the files of this machine that is to be mounted in the box.
type tree struct {
	Bind
	fd   int
	file bool
}

// mount makes the box. The places of the mounts are found from within it, so that no link in an image leads out.
func (e entry) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part the mounts: %w", err)
	}
	proc, err := take(Bind{From: "/proc", To: "/proc", Keep: true})
	if err != nil {
		return err
	}
	var trees []tree
	for _, b := range append(devices(), e.Binds...) {
		t, err := take(b)
		if err != nil {
			return err
		}
		trees = append(trees, t)
	}
	if err := e.enter(); err != nil {
		return err
	}
	for _, t := range trees {
		if err := t.put(); err != nil {
			return err
		}
	}
	if err := proc.putProc(); err != nil {
		return err
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make the image read-only: %w", err)
	}
	return nil
}

func devices() []Bind {
	var list []Bind
	for _, name := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"} {
		list = append(list, Bind{From: name, To: name})
	}
	return list
}

func take(b Bind) (tree, error) {
	t := tree{Bind: b}
	info, err := os.Stat(b.From)
	if err != nil {
		return t, err
	}
	t.file = !info.IsDir()
	if t.fd, err = unix.OpenTree(unix.AT_FDCWD, b.From, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE); err != nil {
		return t, fmt.Errorf("mount %s: %w", b.From, err)
	}
	if b.Keep {
		err = unix.MountSetattr(t.fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	return t, err
}

// enter makes the files of the image the root folder.
func (e entry) enter() error {
	if err := unix.Mount(e.Root, e.Root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", e.Root, err)
	}
	if err := os.Chdir(e.Root); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("enter %s: %w", e.Root, err)
	}
	return os.Chdir("/")
}

func (t tree) put() error {
	if err := t.place(); err != nil {
		return fmt.Errorf("make a place for %s: %w", t.To, err)
	}
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, t.To, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s on %s: %w", t.From, t.To, err)
	}
	return nil
}

// putProc mounts the processes of the box. Within a container parts of /proc are hidden, and then the kernel gives out no other one:
// that of this machine has to do. It cannot be written to: root may set there how the machine works.
func (t tree) putProc() error {
	if err := t.place(); err != nil {
		return err
	}
	if unix.Mount("proc", t.To, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "") == nil {
		return nil
	}
	return t.put()
}

// place makes what the tree can be mounted on.
func (t tree) place() error {
	if !t.file {
		return os.MkdirAll(t.To, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(t.To), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(t.To, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
