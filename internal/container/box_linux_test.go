package container

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "enter" {
		code, err := EnterBox()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// What root may do everybody may: in namespaces of a user.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	binary.AsUser(t, "^TestBox")
}

// programs are those of this machine, and more.
func programs(more ...Bind) []Bind {
	var binds []Bind
	for _, dir := range []string{"/bin", "/usr", "/lib", "/lib64"} {
		binds = append(binds, Bind{From: dir, To: dir, Keep: true})
	}
	return append(binds, more...)
}

func TestBox(t *testing.T) {
	t.Parallel()
	root, out := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(root, "opt")); err != nil { // leads out, as seen from here
		t.Fatal(err)
	}
	var said bytes.Buffer
	b := Box{
		Enter: []string{os.Args[0], "enter"}, Root: root, Output: &said,
		Binds: programs(Bind{From: out, To: "/opt/out"}),
		Args:  []string{"/bin/sh", "-c", "id -u; echo $$; echo written > /etc/out/file; echo $GREETING; ls /; touch /x; touch /usr/x; echo no > /dev/null; exit 3"},
		Env:   []string{"GREETING=hello", "PATH=/bin"},
	}
	err := b.Run(t.Context())
	if err == nil || err.Error() != "exit status 3" {
		t.Errorf("%v\n%s", err, said.String())
	}
	for _, want := range []string{"0\n1\nhello\n", "/x", "Read-only"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("no %q in:\n%s", want, said.String())
		}
	}
	if text, err := os.ReadFile(filepath.Join(out, "file")); string(text) != "written\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// What runs in a box is of others: an install is a program of whoever has made the package.
func TestBoxHolds(t *testing.T) {
	t.Parallel()
	root, out := t.TempDir(), t.TempDir()
	var said bytes.Buffer
	for _, attempt := range []string{
		"mount -o remount,rw,bind /", // the files of the image, which later builds use
		"mount -t tmpfs none /opt/out",
		"chroot / /bin/true", // with another folder: from which one gets out
		"unshare -U true",
		"mknod /opt/out/device b 254 0",
		"echo 0 > /proc/self/oom_score_adj", // as /proc/sys, with which root sets how the machine works
	} {
		err := Box{
			Enter: []string{os.Args[0], "enter"}, Root: root, Output: &said,
			Binds: programs(Bind{From: out, To: "/opt/out"}),
			Args:  []string{"/bin/sh", "-c", "mkdir -p /opt/out/bin; cp /bin/true /opt/out/bin; chown 0 /opt/out/bin/true && (" + attempt + ") && exit 9; exit 3"},
			Env:   []string{"PATH=/bin:/usr/sbin"},
		}.Run(t.Context())
		if err == nil || err.Error() != "exit status 3" {
			t.Errorf("%s: %v", attempt, err)
		}
	}
	for _, not := range []string{"not found", "No such file"} {
		if strings.Contains(said.String(), not) {
			t.Errorf("an attempt was none:\n%s", said.String())
		}
	}
}
