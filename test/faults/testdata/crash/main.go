// Command crash is handoff with a bug: a goroutine of it panics as soon as the file that $CRASH_AT names is there.
package main

import (
	"os"
	"time"

	"github.com/handoff-run/handoff/internal/cli"
)

func main() {
	go func() {
		at := os.Getenv("CRASH_AT")
		for at != "" {
			if _, err := os.Stat(at); err == nil {
				panic("this is the bug")
			}
			time.Sleep(time.Millisecond)
		}
	}()
	os.Exit(cli.Main(os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
