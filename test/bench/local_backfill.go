package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// backfill measures a backfill beside a loop that starts as many jobs of the same task, as many at a time, and waits for them.
func (b *localBench) backfill() ([]localRow, error) {
	dir, err := b.project("backfill", "tasks:\n- name: t\n  commands:\n  - command: 'true'\n")
	if err == nil {
		err = b.ready("backfill", dir)
	}
	if err != nil {
		return nil, err
	}
	const parallel = "4"
	last := time.Date(2026, 1, 1, b.fires-1, 0, 0, 0, time.UTC).Format("2006-01-02T15:04")
	ours, err := b.handoff("backfill", "backfill", "-p", dir, "--from", "2026-01-01T00:00", "--to", last, "--every", "hour", "--parallel", parallel)
	if err != nil {
		return nil, err
	}
	loop := exec.Command("sh", "-c", `seq "$2" | xargs -P "$3" -I{} "$0" cloud run -p "$1" --wait --overlap allow -l error -o json >"$4"`,
		b.bin, dir, fmt.Sprint(b.fires), parallel, filepath.Join(b.dir, "loop"))
	loop.Env = b.home("backfill").Env
	theirs, _, err := run(loop)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("`backfill` of %d runs that do nothing, %s at a time", b.fires, parallel)
	return []localRow{times(what, []time.Duration{ours}, []time.Duration{theirs}, "`xargs -P "+parallel+"` of `cloud run --wait`", 1.2)}, nil
}
