package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const jobRounds = 20

// stamp is a command that tells when it began.
const stamp = "date +%%s.%%N > '%s'"

// jobs measures how much later a command begins in a job than by hand.
func (b *localBench) jobs() ([]localRow, error) {
	file := filepath.Join(b.dir, "stamp")
	command := fmt.Sprintf(stamp, file)
	dir, err := b.project("job", "tasks:\n- name: t\n  commands:\n  - command: "+strconv.Quote(command)+"\n")
	if err == nil {
		err = b.ready("jobs", dir)
	}
	if err != nil {
		return nil, err
	}
	var bare, byHand, inJob, whole []time.Duration
	ws := filepath.Join(b.dir, "job-ws")
	for i := range jobRounds + 1 {
		shell, _, err := began(exec.Command("sh", "-c", command), file)
		if err != nil {
			return nil, err
		}
		hand, handWhole, err := began(b.home("jobs", "run", "-e", "resource_group=bench", "task=job", "-w", ws, "-a"), file)
		if err != nil {
			return nil, err
		}
		job, jobWhole, err := began(b.home("jobs", "cloud", "run", "-p", dir, "--wait"), file)
		if err != nil {
			return nil, err
		}
		if i == 0 { // makes the workspaces
			continue
		}
		bare, byHand, inJob = append(bare, shell), append(byHand, hand), append(inJob, job)
		whole = append(whole, jobWhole-handWhole)
	}
	over := median(inJob) - median(byHand)
	rows := []localRow{
		within("`cloud run`: its command begins later than that of `handoff run` by hand", over, 50*time.Millisecond),
		within("the same, beside the bare command in a shell", median(inJob)-median(bare), 50*time.Millisecond),
		within("`cloud run --wait` takes longer than `handoff run`", median(whole), 0),
	}
	rows[0].peer = ms(median(byHand))
	rows[1].peer = ms(median(bare))
	return rows, nil
}

// began returns when the command that writes the time to file began, counted from the start of cmd, and how long cmd took.
func began(cmd *exec.Cmd, file string) (begin, whole time.Duration, err error) {
	start := time.Now()
	whole, _, err = run(cmd)
	if err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	at, err := strconv.ParseFloat(last(string(text)), 64)
	return time.Duration(at*1e9) - time.Duration(start.UnixNano()), whole, err
}
