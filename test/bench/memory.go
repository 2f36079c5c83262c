package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watch samples the peak resident size of pid and of its guardian until stop; 0 when it is not asked for.
func watch(pid int, asked bool, stop <-chan struct{}) int64 {
	if !asked {
		return 0
	}
	peaks := map[int]int64{}
	for {
		sample(peaks, pid)
		for _, child := range children(pid) {
			if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); err == nil && strings.Contains(string(line), "__guard") {
				sample(peaks, child)
			}
		}
		select {
		case <-stop:
			var sum int64
			for _, p := range peaks {
				sum += p
			}
			return sum
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// sample takes VmHWM, the peak so far, in bytes.
func sample(peaks map[int]int64, pid int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			peaks[pid] = max(peaks[pid], kb*1024)
		}
	}
}

func children(pid int) []int {
	var out []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(word); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}
