// Command bench measures handoff beside its peers in one run and prints the table of docs/benchmarks.md, or that of docs/benchmarks-local.md.
// It reports ratios: absolute times depend on the machine, which the table names.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	bin := flag.String("bin", "bin/handoff", "the handoff binary")
	python := flag.String("python", "", "the handoff 0.4.4 program to compare with; empty: leave it out")
	gb := flag.Float64("gb", 2, "size of the streams in GB")
	rows := flag.String("rows", "", "measure only the rows whose name has this in it")
	rounds := flag.Int("rounds", 5, "rounds of each measurement; the median counts")
	out := flag.String("out", "", "write the page to this file instead of stdout")
	parts := flag.String("local", "", "measure the provider local instead: all, or some of push,jobs,runs,status,server,backfill")
	fires := flag.Int("fires", 200, "runs of the backfill that is measured")
	flag.Parse()
	path, err := filepath.Abs(*bin)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "handoff-bench-")
	if err != nil {
		log.Fatal(err)
	}
	measure := (&bench{bin: path, python: *python, bytes: int64(*gb * 1e9), rounds: *rounds, dir: dir, only: *rows}).page
	if *parts != "" {
		measure = func() (string, error) {
			return (&localBench{bin: path, dir: dir, rounds: *rounds, fires: *fires}).localPage(*parts)
		}
	}
	page, err := measure()
	_ = os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
	if *out == "" {
		fmt.Print(page)
		return
	}
	if err := os.WriteFile(*out, []byte(page), 0o644); err != nil {
		log.Fatal(err)
	}
}

type bench struct {
	bin, python string
	bytes       int64
	rounds      int
	dir         string
	only        string // part of the names of rows; "": all
	n           int
}

// row is one line of the table: the same work by handoff, by its peer, and by 0.4.4 where that can do it.
type row struct {
	what    string
	project string   // project.yml
	peer    []string // argv; nil: compare with limit
	without string   // project.yml that handoff runs as the peer
	peerIs  string
	bar     float64       // at most this many times the peer
	limit   time.Duration // without a peer: at most this long
	args    []string      // instead of run local in the project
	verb    []string      // instead of run local; nil: that
	no044   string        // why 0.4.4 is not measured
}

func (b *bench) rows() []row {
	n := b.bytes
	lines := func(program, rest string) string {
		return fmt.Sprintf("version: 0.4\ntasks:\n- name: t\n  pipeline:\n  - command: seq 2000\n  - foreach:\n    - name: body\n      commands:\n      - command: '%s {{ _line }}'\n%s", program, rest)
	}
	empty := "version: 0.4\ntasks:\n- name: t\n  active: false\n  commands:\n  - command: 'true'\n"
	return []row{
		{
			what:    "linear pipeline of 4 stages",
			project: fmt.Sprintf("version: 0.4\ntasks:\n- name: t\n  pipeline:\n  - command: head -c %d /dev/zero\n  - command: cat\n  - command: cat\n  - command: wc -c\n", n),
			peer:    []string{"bash", "-c", fmt.Sprintf("head -c %d /dev/zero | cat | cat | wc -c", n)},
			peerIs:  "the same pipe in bash", bar: 1.05,
		},
		{
			what:    "fork into 2 branches",
			project: fmt.Sprintf("version: 0.4\ntasks:\n- name: t\n  pipeline:\n  - command: head -c %d /dev/zero\n  - fork:\n    - name: a\n      pipeline:\n      - command: wc -c\n    - name: b\n      pipeline:\n      - command: wc -c\n", n),
			peer:    []string{"bash", "-c", fmt.Sprintf("head -c %d /dev/zero | tee >(wc -c) | wc -c", n)},
			peerIs:  "bash with tee >(a) \\| b", bar: 0.6,
			no044: "reads the stream line by line: with no line ends it would hold it all in memory",
		},
		{
			what: "foreach, 2,000 lines, a builtin of the shell each", project: lines("true", ""),
			peer:   []string{"bash", "-c", `seq 2000 | while read l; do sh -c "true $l"; done`},
			peerIs: "while read l; do sh -c ...; done", bar: 0.95,
		},
		{
			what: "the same with concurrency: 2", project: lines("true", "    concurrency: 2\n"),
			peer:   []string{"bash", "-c", `seq 2000 | xargs -P2 -I{} sh -c "true {}"`},
			peerIs: "xargs -P2", bar: 1.0, no044: "has no concurrency",
		},
		{
			what: "foreach, 2,000 lines, a program each, concurrency: 2", project: lines("/bin/true", "    concurrency: 2\n"),
			peer:   []string{"bash", "-c", `seq 2000 | xargs -P2 -I{} sh -c "/bin/true {}"`},
			peerIs: "xargs -P2 sh -c", bar: 0.7, no044: "has no concurrency",
		},
		b.expectation("rows, columns", "{rows: {min: 1}, columns: [id, email]}"),
		b.expectation("unique", "{unique: [id]}"),
		{what: "handoff version", args: []string{"version"}, limit: 30 * time.Millisecond},
		{what: "run local of a task with nothing to run", project: empty, limit: 30 * time.Millisecond},
		{what: "plan of 200 tasks as YAML", project: manyTasks(200), verb: []string{"plan", "-o", "yaml"}, limit: 15 * time.Millisecond, no044: "has no plan"},
	}
}

// expectation is a stream of Singer records with expect, and without it.
func (b *bench) expectation(what, expect string) row {
	project := "version: 0.4\ntasks:\n- name: t\n  pipeline:\n  - command: cat " + b.recordsFile() + "\n%s  - command: wc -l\n"
	return row{
		what:    fmt.Sprintf("expect (%s) on %.1f GB of Singer records", what, float64(b.records())/1e9),
		project: fmt.Sprintf(project, "    expect: "+expect+"\n"), without: fmt.Sprintf(project, ""), peerIs: "the pipe without it", bar: 1.3,
		no044: "has no expect",
	}
}

func (b *bench) recordsFile() string { return filepath.Join(b.dir, "records.jsonl") }

// records is the size of the records, in bytes.
func (b *bench) records() int64 { return min(b.bytes, 1_500_000_000) }

// writeRecords makes them, once.
func (b *bench) writeRecords() error {
	if _, err := os.Stat(b.recordsFile()); err == nil {
		return nil
	}
	f, err := os.Create(b.recordsFile())
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	var n int64
	for i := 0; n < b.records() && err == nil; i++ {
		var m int
		m, err = fmt.Fprintf(out, `{"type": "RECORD", "stream": "users", "record": {"id": %d, "name": "User %d", "email": "user%d@example.com", "address": "1 Long Street, Some Town", "updated_at": "2026-11-26T02:00:00Z", "amount": %d.5}, "time_extracted": "2026-11-26T02:00:00Z"}`+"\n", i, i, i, i)
		n += int64(m)
	}
	return errors.Join(err, out.Flush(), f.Close())
}

// manyTasks is a project with n pipelines of two stages.
func manyTasks(n int) string {
	var p strings.Builder
	p.WriteString("version: 0.4\nvars: [{key: schema, value: raw}]\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&p, "- name: task-%d\n  pipeline:\n  - command: seq %d\n    args: --schema {{ schema }}\n  - command: cat\n", i, i)
	}
	return p.String()
}

func (b *bench) page() (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "# Benchmarks\n\n<!-- Written by `make bench`. -->\n\n%s\n\n", machine())
	fmt.Fprintf(&out, "Streams of %.1f GB; the median of %d rounds, handoff and its peer in turn. Every run is a whole\nprocess: start, validation, run record and logs are in the time.\n\n", float64(b.bytes)/1e9, b.rounds)
	out.WriteString("| what | handoff | peer | ratio | bar | met | memory of handoff | 0.4.4 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range b.rows() {
		if !strings.Contains(r.what, b.only) {
			continue
		}
		line, err := b.measure(r)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r.what, err)
		}
		out.WriteString(line)
		fmt.Fprint(os.Stderr, line)
	}
	if b.only == "" {
		slow, err := b.slowBranch()
		if err != nil {
			return "", err
		}
		out.WriteString(slow)
	}
	out.WriteString("\nMemory is the peak resident size of handoff and its guardian together; the bar is 40 MB.\n")
	return out.String(), nil
}

func (b *bench) measure(r row) (string, error) {
	args, err := b.args(r)
	if err == nil && r.without != "" {
		var peer []string
		peer, err = b.args(row{project: r.without})
		r.peer = append([]string{b.bin}, peer...)
		err = errors.Join(err, b.writeRecords())
	}
	if err != nil {
		return "", err
	}
	var ours, theirs, python []time.Duration
	var memory int64
	for range b.rounds {
		t, m, err := timed(append([]string{b.bin}, args...), true)
		if err != nil {
			return "", err
		}
		ours, memory = append(ours, t), max(memory, m)
		if r.peer != nil {
			t, _, err := timed(r.peer, false)
			if err != nil {
				return "", err
			}
			theirs = append(theirs, t)
		}
	}
	if b.python != "" && r.no044 == "" {
		if python, err = b.old(r, args); err != nil {
			return "", err
		}
	}
	return r.line(median(ours), theirs, memory, python), nil
}

func (r row) line(ours time.Duration, theirs []time.Duration, memory int64, python []time.Duration) string {
	peer, ratio, bar, met := "", "", fmt.Sprintf("<= %v", r.limit), ours <= r.limit
	if theirs != nil {
		t := median(theirs)
		q := float64(ours) / float64(t)
		peer, ratio, bar, met = fmt.Sprintf("%s (%s)", ms(t), r.peerIs), fmt.Sprintf("%.2f", q), fmt.Sprintf("<= %.2f", r.bar), q <= r.bar
	}
	old := r.no044
	if python != nil {
		old = fmt.Sprintf("%s (%.1f x)", ms(median(python)), float64(median(python))/float64(ours))
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %.1f MB | %s |\n", r.what, ms(ours), peer, ratio, bar,
		map[bool]string{true: "yes", false: "**no**"}[met], float64(memory)/1e6, old)
}

// args makes the project of r and returns the words after the program.
func (b *bench) args(r row) ([]string, error) {
	if r.args != nil {
		return r.args, nil
	}
	b.n++
	dir := filepath.Join(b.dir, fmt.Sprintf("p%d", b.n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "project.yml"), []byte(r.project), 0o644); err != nil {
		return nil, err
	}
	verb := r.verb
	if verb == nil {
		verb = []string{"run", "local"}
	}
	return append(slices.Clip(verb), "-p", dir, "-w", dir+"_ws", "-l", "error"), nil
}

// old measures 0.4.4 on the same project; one round, for it takes long.
func (b *bench) old(r row, args []string) ([]time.Duration, error) {
	args = slices.Clone(args)
	for i, a := range args {
		if strings.HasSuffix(a, "_ws") {
			args[i] = a + "_old"
		}
	}
	t, _, err := timed(append([]string{b.python}, args...), false)
	return []time.Duration{t}, err
}

// slowBranch shows that a slow reader costs no memory.
func (b *bench) slowBranch() (string, error) {
	args, err := b.args(row{project: "version: 0.4\ntasks:\n- name: t\n  pipeline:\n  - command: head -c 200000000 /dev/zero\n  - fork:\n    - name: a\n      pipeline:\n      - command: wc -c\n    - name: slow\n      pipeline:\n      - command: sleep 3; wc -c\n"})
	if err != nil {
		return "", err
	}
	_, memory, err := timed(append([]string{b.bin}, args...), true)
	return fmt.Sprintf("| fork with a branch that sleeps 3 s | | | | | %s | %.1f MB | |\n",
		map[bool]string{true: "yes", false: "**no**"}[memory <= 40e6], float64(memory)/1e6), err
}

// timed runs argv to its end and returns wall time and, where asked, peak memory of the program and its guardian.
func timed(argv []string, memory bool) (time.Duration, int64, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	var errs strings.Builder
	cmd.Stderr = &errs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	peak := make(chan int64, 1)
	stop := make(chan struct{})
	go func() { peak <- watch(cmd.Process.Pid, memory, stop) }()
	err := cmd.Wait()
	took := time.Since(start)
	close(stop)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, errs.String())
	}
	return took, <-peak, err
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ms(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("Machine: %d cores of %s, %s %s, %s.", runtime.NumCPU(), model, runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version())
}
