package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// localBench measures the embedded cloud: releases, jobs, records of runs, schedules. All of it is in one temporary
// folder, and every command is a whole process.
type localBench struct {
	bin    string
	dir    string
	rounds int
	fires  int // runs of a backfill
}

// part is a piece of the page that can be measured alone.
type part struct {
	name    string
	measure func(*localBench) ([]localRow, error)
}

func localParts() []part {
	return []part{
		{"push", (*localBench).push},
		{"jobs", (*localBench).jobs},
		{"runs", (*localBench).runs},
		{"status", (*localBench).status},
		{"server", (*localBench).server},
		{"backfill", (*localBench).backfill},
		{"deploy", (*localBench).deploy},
	}
}

// localRow is one line of the page.
type localRow struct {
	what, got, peer, bar string
	met                  bool
}

func (r localRow) String() string {
	met := map[bool]string{true: "yes", false: "**no**"}[r.met]
	if r.bar == "" {
		met = ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", r.what, r.got, r.peer, r.bar, met)
}

// times compares ours with theirs, by a bar on the ratio.
func times(what string, ours, theirs []time.Duration, peer string, bar float64) localRow {
	a, b := median(ours), median(theirs)
	q := float64(a) / float64(b)
	return localRow{
		what, fmt.Sprintf("%s (%.2f x)", ms(a), q), fmt.Sprintf("%s (%s)", ms(b), peer), fmt.Sprintf("<= %.2f x", bar), q <= bar,
	}
}

// within compares a time with a limit; 0: there is none.
func within(what string, got, limit time.Duration) localRow {
	r := localRow{what: what, got: ms(got), met: got <= limit}
	if limit > 0 {
		r.bar = "<= " + limit.String()
	}
	return r
}

// localPage measures the parts with these names; "all" is every one.
func (b *localBench) localPage(names string) (string, error) {
	wanted := strings.Split(names, ",")
	if names == "all" {
		wanted = nil
		for _, p := range localParts() {
			wanted = append(wanted, p.name)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# Benchmarks of the provider local\n\n<!-- Written by `make bench`. -->\n\n%s\n%s\n\n", machine(), load())
	fmt.Fprintf(&out, "The median of %d rounds, where nothing else is said. Every command is a whole process; the home, its peer's\nfolder and the project are on one disk.\n\n", b.rounds)
	out.WriteString("| what | handoff | peer | bar | met |\n| --- | --- | --- | --- | --- |\n")
	for _, name := range wanted {
		rows, err := b.part(name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range rows {
			out.WriteString(r.String())
			fmt.Fprint(os.Stderr, r)
		}
	}
	return out.String(), nil
}

// load tells how idle the machine was.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if words := strings.Fields(string(text)); err == nil && len(words) > 0 {
		return "Its load in the minute before was " + words[0] + "."
	}
	return "Its load is not known."
}

func (b *localBench) part(name string) ([]localRow, error) {
	for _, p := range localParts() {
		if p.name == name {
			return p.measure(b)
		}
	}
	return nil, fmt.Errorf("there is no such part")
}

// home returns the command `handoff args...` in the home with that name.
func (b *localBench) home(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.bin, append(args, "-l", "error", "-y")...)
	cmd.Env = append(os.Environ(), "HANDOFF_HOME="+filepath.Join(b.dir, name))
	return cmd
}

// run returns how long cmd took, and its stdout.
func run(cmd *exec.Cmd) (time.Duration, string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, errs.String())
	}
	return took, out.String(), err
}

func (b *localBench) handoff(home string, args ...string) (time.Duration, error) {
	took, _, err := run(b.home(home, args...))
	return took, err
}

const deploy = "version: 0.4\ndeploy:\n  cloud_provider: local\n  cloud_platform: process\n  resource_group: bench\n  task: %s\n"

// project writes the project of a task, and returns its folder.
func (b *localBench) project(task, rest string) (string, error) {
	dir := filepath.Join(b.dir, "project-"+task)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "project.yml"), append(fmt.Appendf(nil, deploy, task), rest...), 0o644)
}

// ready pushes the project in dir, and registers its task.
func (b *localBench) ready(home, dir string) error {
	for _, words := range [][]string{{"project", "push"}, {"cloud", "resources", "create"}, {"cloud", "task", "create"}} {
		if _, err := b.handoff(home, append(words, "-p", dir)...); err != nil {
			return err
		}
	}
	return nil
}
