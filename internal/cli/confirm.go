package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/handoff-run/handoff/internal/app"
)

// declinedError ends a command that a person, or -n, did not want.
type declinedError struct{}

func (declinedError) Error() string { return "not confirmed: nothing was done" }

// confirm asks a person before something is deleted or replaced; details go before the question. -y and -n answer for
// him. Without a terminal and without an answer it is a UsageError. nil: go on.
func (c *cli) confirm(ctx context.Context, question string, details ...string) error {
	if !c.flags.yes && !c.flags.no && !c.canAsk() {
		return &app.UsageError{
			Message: question + " There is nobody to answer",
			Hint:    "add -y to do it, or --dry-run to see what would be done",
		}
	}
	return c.ask(ctx, question, details)
}

// confirmOnTerminal is confirm for what goes on where nobody can be asked.
func (c *cli) confirmOnTerminal(ctx context.Context, question string, details ...string) error {
	if !c.flags.no && !c.canAsk() {
		return nil
	}
	return c.ask(ctx, question, details)
}

func (c *cli) canAsk() bool {
	if c.parent != nil {
		return c.parent.canAsk()
	}
	return isTerminal(c.In) && isTerminal(c.Err)
}

func (c *cli) ask(ctx context.Context, question string, details []string) error {
	if c.flags.yes {
		return nil
	}
	if c.parent != nil { // one question at a time
		c.parent.asking.Lock()
		defer c.parent.asking.Unlock()
		return c.parent.ask(ctx, c.client+": "+question, details)
	}
	for _, d := range details {
		fmt.Fprintln(c.con, "  "+d)
	}
	if c.flags.no {
		return &codedError{error: declinedError{}, code: app.ExitFailed}
	}
	fmt.Fprintf(c.con, "%s [y/N] ", question)
	c.con.flush()
	answer, err := readLine(ctx, bufio.NewReader(c.In))
	switch answer = strings.ToLower(answer); {
	case ctx.Err() != nil:
		return err
	case answer == "y" || answer == "yes":
		return nil
	}
	return &codedError{error: declinedError{}, code: app.ExitFailed}
}

// readLine returns the next line of in, without blanks at its ends, or why there is none: io.EOF, or that ctx has ended.
func readLine(ctx context.Context, in *bufio.Reader) (line string, err error) {
	read := make(chan struct{})
	var text string
	var failed error
	go func() {
		defer close(read)
		text, failed = in.ReadString('\n')
	}()
	select {
	case <-read:
		return strings.TrimSpace(text), failed
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
