package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const smallFiles = 5000

// push measures a project of many small files beside cp -r. Both sides end with everything on the disk.
func (b *localBench) push() ([]localRow, error) {
	dir, err := b.project("files", "tasks:\n- name: t\n  commands:\n  - command: 'true'\n")
	if err == nil {
		err = writeMany(filepath.Join(dir, "files"))
	}
	if err != nil {
		return nil, err
	}
	var pushed, same, fetched, copied []time.Duration
	for i := range b.rounds {
		for _, step := range []struct {
			to *[]time.Duration
			do func(string) (time.Duration, error)
		}{
			{&copied, func(n string) (time.Duration, error) { return b.copied(dir, "copy"+n) }},
			{&pushed, func(n string) (time.Duration, error) { return b.handoff("push"+n, "project", "push", "-p", dir) }},
			{&same, func(n string) (time.Duration, error) { return b.handoff("push"+n, "project", "push", "-p", dir) }},
			{&fetched, b.fetched},
		} {
			took, err := step.do(fmt.Sprint(i))
			if err != nil {
				return nil, err
			}
			*step.to = append(*step.to, took)
		}
		for _, name := range []string{"copy", "push", "fetch"} {
			_ = os.RemoveAll(filepath.Join(b.dir, name+fmt.Sprint(i)))
		}
	}
	files := fmt.Sprintf(" of %d small files", smallFiles)
	peer := "cp -r, sync -f"
	return []localRow{
		times("`project push`"+files, pushed, copied, peer, 1.5),
		times("the same, nothing changed", same, copied, peer, 0.2),
		times("`files get`"+files+", sync -f", fetched, copied, peer, 1.5),
	}, nil
}

func writeMany(dir string) error {
	random := rand.NewChaCha8([32]byte{})
	for i := range smallFiles {
		folder := filepath.Join(dir, fmt.Sprintf("d%d/e%d", i%50, i%7))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		text := make([]byte, 200+i%3800)
		_, _ = random.Read(text)
		for j := range text { // as text, that is read as a template
			text[j] = " abcdefghijklmnopqrstuvwxyz01234"[text[j]&31]
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), text, 0o644); err != nil {
			return err
		}
	}
	return flush(dir)
}

// copied measures cp -r to a new folder, to the disk.
func (b *localBench) copied(from, name string) (time.Duration, error) {
	to := filepath.Join(b.dir, name)
	took, _, err := run(exec.Command("cp", "-r", from, to))
	return flushed(took, to, err)
}

// fetched measures the way from the bucket of home "push<n>" to a new workspace, to the disk.
func (b *localBench) fetched(n string) (time.Duration, error) {
	to := filepath.Join(b.dir, "fetch"+n)
	took, err := b.handoff("push"+n, "files", "get", "-e", "resource_group=bench", "task=files", "-w", to)
	return flushed(took, to, err)
}

func flushed(took time.Duration, dir string, err error) (time.Duration, error) {
	if err != nil {
		return took, err
	}
	start := time.Now()
	err = flush(dir)
	return took + time.Since(start), err
}

// flush writes the file system of dir to the disk.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	return unix.Syncfs(int(f.Fd()))
}

// last returns the last line of text.
func last(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
