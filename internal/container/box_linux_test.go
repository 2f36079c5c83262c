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
	binary.AsUser(t, "^TestBox$")
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
		Binds: []Bind{{From: "/bin", To: "/bin", Keep: true}, {From: "/usr", To: "/usr", Keep: true}, {From: "/lib", To: "/lib", Keep: true},
			{From: "/lib64", To: "/lib64", Keep: true}, {From: out, To: "/opt/out"}},
		Args: []string{"/bin/sh", "-c", "id -u; echo $$; echo written > /etc/out/file; echo $GREETING; ls /; touch /x; touch /usr/x; echo no > /dev/null; exit 3"},
		Env:  []string{"GREETING=hello", "PATH=/bin"},
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
