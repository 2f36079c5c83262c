package app

import (
	"context"
	"errors"
	"slices"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// LoginResult says who the caller is for the provider.
type LoginResult struct {
	Status string `json:"status"`
	cloud.Identity
}

// LoginTest proves the credentials with the smallest call. It needs no project and no resource group.
func (a *App) LoginTest(ctx context.Context, t Target) (res LoginResult, err error) {
	if t.env("resource_group") == "" {
		t.Envs = append(slices.Clone(t.Envs), project.KeyValue{Key: "resource_group", Value: "any"})
	}
	c, _, err := a.openScope(ctx, t)
	if err != nil {
		return LoginResult{}, err
	}
	id, err := c.Account.Check(ctx)
	if err != nil {
		return LoginResult{}, err
	}
	if id.Account+id.User == "" {
		return LoginResult{}, errors.New("the provider does not say who you are")
	}
	id.Provider = c.Provider
	return LoginResult{Status: "success", Identity: id}, nil
}
