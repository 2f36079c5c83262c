package cli

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/lmittmann/tint"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) level() slog.Level {
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
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.level()}))
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
func (c *cli) twice() *app.App {
	verbs := c.app()
	verbs.Log = slog.New(once{verbs.Log.Handler(), &sync.Map{}})
	return verbs
}

// once drops records whose text has been logged.
type once struct {
	slog.Handler
	told *sync.Map
}

// Handle implements slog.Handler.
func (o once) Handle(ctx context.Context, r slog.Record) error {
	if _, told := o.told.LoadOrStore(r.Message, true); told {
		return nil
	}
	return o.Handler.Handle(ctx, r)
}
