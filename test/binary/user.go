package binary

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// ordinary is the id of a user, and of a group, that owns nothing.
const ordinary = 65534

// AsUser runs those tests of this test binary whose names match run again as an ordinary user, where this is root: the
// kernel lets root look into every process and open every file, so that many a fault shows to others only. env is
// added to the environment of the second run. Elsewhere the tests have run as an ordinary user already.
func AsUser(t *testing.T, run string, env ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	dir, tests, err := forUser()
	if dir != "" {
		defer os.RemoveAll(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run", run, "-test.count", "1", "-test.failfast"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	ctx, cancel := context.WithCancel(t.Context())
	if end, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(t.Context(), end.Add(-10*time.Second))
	}
	defer cancel()
	cmd := exec.CommandContext(ctx, tests, args...)
	cmd.Env = append(append(os.Environ(), "HOME="+dir+"/home", "TMPDIR="+dir+"/tmp", "USER=nobody", "LOGNAME=nobody",
		"PATH=/usr/local/bin:/usr/bin:/bin"), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}

// forUser makes a folder with what the second run needs: the test binary (the one that runs is where only its owner gets at
// it), a home and a place for temporary files.
func forUser() (dir, tests string, err error) {
	if dir, err = os.MkdirTemp("", "user"); err != nil {
		return "", "", err
	}
	tests = filepath.Join(dir, "tests")
	err = errors.Join(os.Chmod(dir, 0o755), copyProgram("/proc/self/exe", tests))
	for _, name := range []string{"home", "tmp"} {
		path := filepath.Join(dir, name)
		err = errors.Join(err, os.Mkdir(path, 0o700), os.Chown(path, ordinary, ordinary))
	}
	return dir, tests, err
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
