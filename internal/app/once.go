package app

import (
	"context"
	"log/slog"
	"sync"
)

// Once returns the verbs for a caller that calls several of them, or one several times: what was logged once is not said again.
func (a *App) Once() *App {
	b := *a
	b.Log = slog.New(once{a.Log.Handler(), &sync.Map{}})
	return &b
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
