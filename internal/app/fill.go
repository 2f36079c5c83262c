package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/handoff-run/handoff/internal/container"
	"github.com/handoff-run/handoff/internal/workspace"
)

// FillInput is one virtual environment of an image.
type FillInput struct {
	Venv     string              `json:"venv"`
	Installs []workspace.Install `json:"installs"`
}

// FillVenv makes, from within a box with the files of the base, the virtual environment that it reads from in. Everything that it
// starts ends with the box.
func (a *App) FillVenv(ctx context.Context, in io.Reader, output func(line string)) error {
	var what FillInput
	if err := json.NewDecoder(in).Decode(&what); err != nil {
		return fmt.Errorf("read what to install: %w", err)
	}
	ws, err := workspace.Open("", container.BuildDir)
	if err != nil {
		return err
	}
	_, err = ws.Install(ctx, workspace.InstallOptions{Installs: what.Installs, Environ: a.Environ, VenvDir: container.VenvDir, Output: output})
	return err
}
