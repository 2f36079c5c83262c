// Command report reads the output of `go test -json`, shows what a person wants to see of it (packages, failures) and
// counts. It ends with 1 when a test failed, was skipped, or a package did not build. With -counts the numbers of
// passed and failed tests are also written to a file, for test/all.sh to add up.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type summary struct {
	passed, failed, skipped int
	output                  map[string][]string // of tests that have not ended, by package and test
	blamed                  map[string]bool     // packages with a test that failed
}

func main() {
	counts := flag.String("counts", "", "file for `passed failed`")
	flag.Parse()
	s := &summary{output: map[string][]string{}, blamed: map[string]bool{}}
	err := s.read(os.Stdin, os.Stdout)
	if err == nil && *counts != "" {
		err = os.WriteFile(*counts, fmt.Appendf(nil, "%d %d\n", s.passed, s.bad()), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if s.bad() > 0 || s.passed == 0 {
		os.Exit(1)
	}
}

// bad counts a skipped test as failed: a test that does not run proves nothing.
func (s *summary) bad() int { return s.failed + s.skipped }

func (s *summary) read(r io.Reader, w io.Writer) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text()) // go itself has something to say
			continue
		}
		s.add(e, w)
	}
	return lines.Err()
}

func (s *summary) add(e event, w io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT: of no use without -v
			return
		}
		s.output[key] = append(s.output[key], e.Output)
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "pass", "fail", "skip":
		s.end(e, key, w)
	}
}

func (s *summary) end(e event, key string, w io.Writer) {
	defer delete(s.output, key)
	if e.Test == "" {
		s.endPackage(e, key, w)
		return
	}
	switch e.Action {
	case "pass":
		s.passed++
		return
	case "fail":
		s.failed++
		s.blamed[e.Package] = true
	case "skip":
		s.skipped++
	}
	fmt.Fprintf(w, "%s %s %s\n%s", strings.ToUpper(e.Action), e.Package, e.Test, strings.Join(s.output[key], ""))
}

// endPackage also counts a package that failed outside of its tests: it did not build, TestMain failed, it ran out of time.
func (s *summary) endPackage(e event, key string, w io.Writer) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(w, "ok   %s (%.1fs)\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Fprintf(w, "FAIL %s (%.1fs)\n%s", e.Package, e.Elapsed, strings.Join(s.output[key], ""))
		if !s.blamed[e.Package] {
			s.failed++
		}
		s.unfinished(e.Package, w)
	}
}

// unfinished shows what tests of a package said that never ended.
func (s *summary) unfinished(pkg string, w io.Writer) {
	for _, key := range slices.Sorted(maps.Keys(s.output)) {
		if test, ok := strings.CutPrefix(key, pkg+" "); ok && test != "" {
			fmt.Fprintf(w, "UNFINISHED %s\n%s", key, strings.Join(s.output[key], ""))
			delete(s.output, key)
		}
	}
}
