package project

import (
	"testing"
	"time"
)

// Every form in which people write a time span, in every key that takes one.
func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "'90'": 90 * time.Second, "0.5": time.Second / 2, "0": 0, "": 0,
		"10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "'45s'": 45 * time.Second, "1.5h": 90 * time.Minute, "250ms": time.Second / 4,
		"PT10M": 10 * time.Minute, "PT1H30M": 90 * time.Minute, "P1D": 24 * time.Hour, "P1DT12H": 36 * time.Hour, "P2W": 14 * 24 * time.Hour, "PT0.5S": time.Second / 2,
		"!!str 10m": 10 * time.Minute,
	} {
		p, warnings := decode(t, "version: 1\ntimeout: "+text+"\ntasks: [{timeout: "+text+", kill_after: "+text+", retries: {max: 1, delay: "+text+
			"}, commands: [{command: ls, timeout: "+text+"}]}]\n")
		if len(warnings) > 0 {
			t.Errorf("%s: %v", text, warnings)
		}
		x := p.Tasks[0]
		for key, got := range map[string]time.Duration{
			"run": p.Timeout, "task": x.Timeout, "kill_after": x.KillAfter, "delay": x.Retries.Delay, "command": x.Commands[0].Command.Timeout,
		} {
			if got != want {
				t.Errorf("%s of %s: %v, want %v", key, text, got, want)
			}
		}
	}
}

func TestShortRetries(t *testing.T) {
	t.Parallel()
	p, warnings := decode(t, "version: 1\ntasks: [{retries: 3, commands: [{command: ls}]}]\n")
	if got := p.Tasks[0].Retries; got.Max != 3 || got.Delay != 0 || len(warnings) > 0 {
		t.Errorf("%+v, %v", got, warnings)
	}
}
