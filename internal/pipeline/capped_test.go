package pipeline

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":     {nil, ""},
		"all of it":   {[]string{"one\n", "two\n"}, "one\ntwo\n"},
		"whole lines": {[]string{"one\n", "two\n", "three\n", "four\n"}, "handoff: 8 bytes are left out here: the run has written more than is kept\nthree\nfour\n"},
		"no line":     {[]string{strings.Repeat("x", 30)}, "handoff: 18 bytes are left out here: the run has written more than is kept\n" + strings.Repeat("x", 12)},
	} {
		l := tail{most: 12}
		for _, w := range tt.writes {
			l.add([]byte(w))
		}
		if got := string(l.text()); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestStderrLogsAreCapped: two logs of a run that never stop have their heads, their tails, and what is between in no file.
func TestStderrLogsAreCapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	e := &Engine{root: root, stderr: budget{most: 10_000}}
	var logs []*stderrLog
	for _, name := range []string{"a", "b"} {
		l, err := e.openLog(name, false)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, l)
	}
	const lines = 400_000
	for i := range lines {
		for _, l := range logs {
			l.write(fmt.Appendf(nil, "line %d\n", i))
		}
	}
	for _, l := range logs {
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
		text, err := root.ReadFile(l.name)
		if err != nil || len(text) > stderrTail+10_100 {
			t.Errorf("%s has %d bytes, %v", l.name, len(text), err)
		}
		if !bytes.HasPrefix(text, []byte("line 0\nline 1\n")) || !bytes.HasSuffix(text, fmt.Appendf(nil, "\nline %d\n", lines-1)) || !bytes.Contains(text, []byte("\nhandoff: ")) {
			t.Errorf("%s is %q ... %q", l.name, text[:30], text[len(text)-30:])
		}
	}
}
