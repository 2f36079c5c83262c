package main

import (
	"fmt"
	"strings"
	"time"
)

// deploy measures a deployment for many clients of which nothing has changed.
func (b *localBench) deploy() ([]localRow, error) {
	const clients = 50
	var list strings.Builder
	for i := range clients {
		fmt.Fprintf(&list, "- {name: client-%02d, vars: [{key: account, value: '%d'}], deploy: {memory: %d}}\n", i, i, 256+i)
	}
	dir, err := b.project("deploy", "vars: [{key: account, value: '0'}]\ntasks:\n- name: t\n  commands:\n  - command: 'echo {{ account }}'\nschedules:\n- {target_id: 1, cron: '0 2 * * ? *', jitter: 15m}\nclients:\n"+list.String())
	if err != nil {
		return nil, err
	}
	again := []string{"deploy", "-p", dir, "--all-clients"}
	if _, err := b.handoff("deploy", again...); err != nil {
		return nil, err
	}
	var took []time.Duration
	for range b.rounds {
		d, err := b.handoff("deploy", again...)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return []localRow{within(fmt.Sprintf("`deploy --all-clients` of %d clients, nothing changed", clients), median(took), 2*time.Second)}, nil
}
