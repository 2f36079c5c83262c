// Command handoff runs pipelines of Unix commands that are described in a project.yml.
package main

import (
	"os"

	"github.com/handoff-run/handoff/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
