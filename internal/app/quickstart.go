package app

import (
	"context"
	"errors"
	"io/fs"

	"github.com/handoff-run/handoff/internal/quickstart"
)

// QuickStartResult names the tutorial projects that were written.
type QuickStartResult struct {
	Status   string   `json:"status"`
	Folder   string   `json:"folder"`
	Projects []string `json:"projects"`
}

// QuickStart writes the tutorial projects into dir. It never replaces a file.
func (a *App) QuickStart(_ context.Context, dir string) (QuickStartResult, error) {
	projects, err := quickstart.Write(dir)
	if errors.Is(err, fs.ErrExist) {
		return QuickStartResult{}, &UsageError{Message: err.Error(), Hint: "name another folder, or remove what is there"}
	}
	if err != nil {
		return QuickStartResult{}, err
	}
	return QuickStartResult{Status: "success", Folder: dir, Projects: projects}, nil
}
