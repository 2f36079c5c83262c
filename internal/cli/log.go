package cli

import (
	"io"
	"log/slog"
	"strings"

	"github.com/lmittmann/tint"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) level() slog.Level {
	if c.parent != nil && !c.flags.saidLevel && !c.flags.debug {
		return slog.LevelWarn // of several clients at a time a person wants to know what is wrong; the logs of runs have all
	}
	if c.flags.debug {
		return slog.LevelDebug
	}
	switch strings.ToLower(c.flags.logLevel) {
	case "debug":
		return slog.LevelDebug
	case "warning", "warn":
		return slog.LevelWarn
	case "error", "critical":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// logger writes to w, which is stderr or what stands before it: lines for a person, or JSON.
func (c *cli) logger(w io.Writer) *slog.Logger {
	if c.flags.logFormat == "json" {
		log := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.level()}))
		if c.parent != nil {
			log = log.With("client", c.client)
		}
		return log
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level: c.level(), TimeFormat: "15:04:05", NoColor: !c.colors(c.Err),
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.MessageKey {
				return slog.String(a.Key, app.Plain(a.Value.String()))
			}
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return a
			}
			return slog.Attr{} // a person reads the message, which is whole
		},
	}))
}

// twice returns the verbs for a command that calls one twice: to show what it would do, and to do it. What was warned of the
// first time is not said again.
func (c *cli) twice() *app.App { return c.app().Once() }
