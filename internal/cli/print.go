package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/project"
)

// show is the RunE of a command that finds a target, calls a verb with it and prints what that returns.
func show[R any](
	c *cli, find func() (app.Target, error), verb func(*app.App, context.Context, app.Target) (R, error), text func(R) string,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		t, err := find()
		if err != nil {
			return err
		}
		res, err := verb(c.app(), cmd.Context(), t)
		if err != nil {
			return err
		}
		return c.print(res, text(res))
	}
}

// print writes the product of a command to stdout: v as YAML or JSON, or text where that is asked for.
func (c *cli) print(v any, text string) error {
	if c.parent != nil {
		c.product, c.text = v, text
		return nil
	}
	if c.flags.output == "text" {
		return c.deliver([]byte(lines(text)))
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if c.flags.output != "yaml" {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	out := buf.Bytes()
	if c.flags.output == "yaml" {
		var err error
		if out, err = jsonToYAML(out); err != nil {
			return err
		}
	}
	return c.deliver(out)
}

// lines ends text by a line end, unless there is none of it.
func lines(text string) string {
	if text = strings.TrimRight(text, " \n"); text == "" {
		return ""
	}
	return text + "\n"
}

// deliver writes the product, after all that was said on stderr. A disk that is full is no mistake of the caller.
func (c *cli) deliver(text []byte) error {
	if c.parent != nil {
		c.product, c.text = string(text), string(text)
		return nil
	}
	c.con.flush()
	_, err := c.Out.Write(text)
	if err != nil && !errors.Is(err, syscall.EPIPE) { // else its reader has all that it wanted
		return &codedError{error: fmt.Errorf("write result: %w", err), code: app.ExitFailed}
	}
	return nil
}

type color string

const (
	red    color = "\x1b[31m"
	yellow color = "\x1b[33m"
	green  color = "\x1b[32m"
	bold   color = "\x1b[1m"
	dim    color = "\x1b[2m"
)

// style colours text where f is a terminal and nobody asked for plain text.
func (c *cli) style(f *os.File, col color, text string) string {
	if !c.colors(f) {
		return text
	}
	return string(col) + text + "\x1b[0m"
}

func (c *cli) colors(f *os.File) bool {
	return isTerminal(f) && c.getenv("NO_COLOR") == "" && c.getenv("TERM") != "dumb"
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func (c *cli) getenv(key string) string {
	for _, kv := range c.environ {
		if v, ok := strings.CutPrefix(kv, key+"="); ok {
			return v
		}
	}
	return ""
}

// printError says on stderr what is wrong, where, and the way out.
func (c *cli) printError(err error) {
	if list, ok := errors.AsType[project.Errors](err); ok {
		fmt.Fprintln(c.con, err)
		fmt.Fprintln(c.con, c.style(c.Err, red, "error:"), app.Count(len(list), "problem"), "found; nothing ran")
		return
	}
	c.printFault(err.Error(), app.HintOf(err))
}

// printFault says what is wrong, and the way out, where there is one.
func (c *cli) printFault(text, hint string) {
	fmt.Fprintln(c.con, c.style(c.Err, red, "error:"), text)
	if hint != "" {
		fmt.Fprintln(c.con, c.style(c.Err, bold, "hint:"), hint)
	}
}
