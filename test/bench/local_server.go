package main

import (
	"encoding/json"
	"fmt"
	"os"

	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	schedules     = 10_000
	scheduleTasks = 100
	idle          = 20 * time.Second
	soon          = 12 * time.Second // from now to the second in which one schedule of each task fires
)

// server measures `handoff server` with many schedules in a home with the records of many runs, where part runs came
// first: at rest, and when 100 of them fire in one second.
func (b *localBench) server() ([]localRow, error) {
	if err := b.schedule(); err != nil {
		return nil, err
	}
	log, err := os.Create(b.serverLog())
	if err != nil {
		return nil, err
	}
	defer log.Close() // only to be read
	cmd := b.home("ledger", "server")
	cmd.Args = append(cmd.Args, "-l", "info")
	cmd.Stderr = log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	rows, err := b.serve(cmd.Process.Pid, began)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if failed := cmd.Wait(); err == nil {
		err = failed
	}
	if err != nil {
		text, _ := os.ReadFile(b.serverLog())
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return rows, nil
}

func (b *localBench) serverLog() string { return filepath.Join(b.dir, "server.log") }

// schedule makes the schedules, none of which fires soon.
func (b *localBench) schedule() error {
	for i := range scheduleTasks {
		var text strings.Builder
		text.WriteString("tasks:\n- name: t\n  commands:\n  - command: 'true'\nschedules:\n")
		for k := range schedules / scheduleTasks {
			fmt.Fprintf(&text, "- target_id: s%d\n  cron: '%d %d 1 %d ? 2099'\n", k, k%60, i%24, 1+k%12)
		}
		dir, err := b.project(fmt.Sprintf("s%d", i), text.String())
		if err == nil {
			err = b.ready("ledger", dir)
		}
		if err == nil {
			_, err = b.handoff("ledger", "cloud", "schedule", "create", "-p", dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// serve measures a server that has just been started.
func (b *localBench) serve(pid int, began time.Time) ([]localRow, error) {
	if err := b.untilServing(); err != nil {
		return nil, err
	}
	start, read := time.Since(began), readBytes(pid)
	time.Sleep(2 * time.Second)
	before := cpu(pid)
	time.Sleep(idle)
	used := cpu(pid) - before
	made, started, err := b.fire()
	if err != nil {
		return nil, err
	}
	byHand, err := b.byHand()
	if err != nil {
		return nil, err
	}
	peaks := map[int]int64{}
	sample(peaks, pid)
	what := fmt.Sprintf("`handoff server` with %d schedules: ", schedules)
	share := float64(used) / float64(idle)
	return []localRow{
		{what: what + "until it serves", got: fmt.Sprintf("%s, %.1f MB read", ms(start), float64(read)/1e6), bar: "no run record read: <= 10 MB", met: read <= 10e6},
		{what: what + "peak memory", got: fmt.Sprintf("%.1f MB", float64(peaks[pid])/1e6), bar: "<= 150 MB", met: peaks[pid] <= 150e6},
		{what: what + "CPU at rest, over " + idle.String(), got: fmt.Sprintf("%.2f %%", 100*share), bar: "<= 1 %", met: share <= 0.01},
		within(fmt.Sprintf("%d fires in one second: how late handoff runs in their jobs, p99", scheduleTasks), percentile(started, 99), time.Second),
		within("the same, median", percentile(started, 50), 0),
		within("the same, until the job is decided and has its id, p99", percentile(made, 99), 0),
		{
			what: "the same, the last one", got: ms(percentile(started, 100)),
			peer: fmt.Sprintf("%s (as many `handoff run`, xargs -P%d)", ms(byHand), runtime.NumCPU()),
		},
	}, nil
}

// untilServing waits until the server says that it has read the schedules.
func (b *localBench) untilServing() error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if text, err := os.ReadFile(b.serverLog()); err == nil && strings.Contains(string(text), "serving") {
			return nil
		}
	}
	return fmt.Errorf("the server does not serve")
}

// fire adds a schedule to each task, all for the same second, and returns how late their jobs were made and started.
func (b *localBench) fire() (made, started []time.Duration, err error) {
	at := time.Now().UTC().Add(soon).Truncate(time.Second)
	for i := range scheduleTasks {
		task := fmt.Sprintf("s%d", i)
		dir, err := b.project(task, fmt.Sprintf("tasks:\n- name: t\n  commands:\n  - command: 'true'\nschedules:\n- target_id: now\n  cron: 'at(%s)'\n", at.Format("2006-01-02T15:04:05")))
		if err == nil {
			_, err = b.handoff("ledger", "cloud", "schedule", "create", "-p", dir)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if time.Until(at) < 0 {
		return nil, nil, fmt.Errorf("this machine is too slow: the schedules were not ready in %s", soon)
	}
	for end := at.Add(30 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if made, started = b.lateness(at); len(started) == scheduleTasks {
			return made, started, nil
		}
	}
	return nil, nil, fmt.Errorf("%d of %d schedules have fired", len(started), scheduleTasks)
}

// byHand runs all that has fired as fast as this machine can.
func (b *localBench) byHand() (time.Duration, error) {
	var input strings.Builder
	for i := range scheduleTasks {
		fmt.Fprintln(&input, i)
	}
	cmd := b.home("ledger")
	line := "exec " + b.bin + " run -e resource_group=bench task=s$0 -w " + filepath.Join(b.dir, "hand-s$0") + " -a -l error"
	cmd.Path, cmd.Args = "/usr/bin/xargs", []string{"xargs", fmt.Sprintf("-P%d", runtime.NumCPU()), "-n1", "sh", "-c", line}
	cmd.Stdin = strings.NewReader(input.String())
	took, _, err := run(cmd)
	return took, err
}

// lateness reads the records of the jobs that have run.
func (b *localBench) lateness(at time.Time) (made, started []time.Duration) {
	files, _ := filepath.Glob(filepath.Join(b.dir, "ledger", "jobs", "dev", "bench", "*", "*", "job.json"))
	for _, file := range files {
		var job struct {
			Created time.Time `json:"created"`
			Started time.Time `json:"started"`
			Ended   time.Time `json:"ended"`
		}
		text, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(text, &job) != nil || job.Ended.IsZero() {
			continue
		}
		made, started = append(made, job.Created.Sub(at)), append(started, job.Started.Sub(at))
	}
	return made, started
}

func percentile(d []time.Duration, p int) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)*p/100, len(d)-1)]
}

// cpu is the processor time that the process pid has used.
func cpu(pid int) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// readBytes is how much the process pid has read from files.
func readBytes(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "rchar: "); ok {
			count, _ := strconv.Atoi(strings.TrimSpace(n))
			return count
		}
	}
	return 0
}
