package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// lastWords is how long a run that was killed at once may take to write its record.
const lastWords = 2 * time.Second

// sayingTakes is how long a signal waits for what is said about it.
const sayingTakes = 100 * time.Millisecond

// watchSignals cancels the command at the first signal. The second kills all that was started and ends the process as
// soon as the record is written; the third does not wait for that either.
func (c *cli) watchSignals(cancel context.CancelCauseFunc) (stop func()) {
	got := make(chan os.Signal, 3)
	signal.Notify(got, stopSignals()...)
	// Else a reader of stdout or stderr that goes away would kill handoff in the middle of a run.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for n := 0; ; n++ {
			sig, _ := (<-got).(syscall.Signal)
			switch n {
			case 0:
				c.sayEnding(sig)
				cancel(pipeline.Interrupt{Signal: sig})
			case 1:
				c.killNow()
				time.AfterFunc(lastWords, func() { os.Exit(app.ExitSignal + int(sig)) })
			default:
				os.Exit(app.ExitSignal + int(sig))
			}
		}
	}()
	return func() { signal.Stop(got) }
}

// stopSignals are those that end a run: also those on which the runtime would end the program with code 2, which says that
// nothing has run. (A fault of handoff itself is no signal here, but a panic.) One that handoff was started to ignore
// (nohup, a job in the background of a script) stays ignored.
func stopSignals() []os.Signal {
	signals := []os.Signal{
		syscall.SIGTERM, syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGSYS, syscall.SIGTRAP,
	}
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(sig) {
			signals = append(signals, sig)
		}
	}
	return signals
}

// setEnding says what the first signal does.
func (c *cli) setEnding(text string) {
	if c.parent != nil { // text is of one client; the result tells of each
		text, c = "what was asked for goes on for each client, without this command", c.parent
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = text
}

// sayEnding waits, but not for long, until it is said: a terminal that does not take it must not hold the end up.
func (c *cli) sayEnding(sig syscall.Signal) {
	c.mu.Lock()
	text := cmp.Or(c.ending, "stopping (again to stop at once)")
	c.mu.Unlock()
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintf(c.con, "handoff: %v: %s\n", sig, text)
	}()
	select {
	case <-said:
	case <-time.After(sayingTakes):
	}
}

// setKillAll says how to end every process of the current run at once.
func (c *cli) setKillAll(kill func()) {
	if c.parent != nil {
		c.parent.setKill(c, kill)
		return
	}
	c.setKill(c, kill)
}

// setKill is setKillAll for one of the clients for which this process works; nil: there is nothing to end any more.
func (c *cli) setKill(of *cli, kill func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killAll == nil {
		c.killAll = map[*cli]func(){}
	}
	if c.killAll[of] = kill; kill == nil {
		delete(c.killAll, of)
	}
}

func (c *cli) killNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kill := range c.killAll {
		kill()
	}
}
