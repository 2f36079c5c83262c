package app

import (
	"context"
	"reflect"
	"strings"

	"github.com/handoff-run/handoff/internal/plan"
)

// PlanOptions names what to plan.
type PlanOptions struct {
	Target
	Again *Again // the run to start again; nil: none
}

// Plan returns what `run local` would run, with the values of secrets masked. Nothing is changed. A secret that is not here, as it may be
// at the provider alone, is a warning.
func (a *App) Plan(_ context.Context, o PlanOptions) (res *plan.Plan, err error) {
	run := RunOptions{Target: o.Target, Again: o.Again}
	if err := run.takeOver(); err != nil {
		return nil, err
	}
	s, err := a.open(run.Target)
	if err != nil {
		return nil, err
	}
	defer s.hideSecrets(&err)
	s.input.Now, s.input.ShowOnly = o.Again.time(s.input.Now), true
	p, err := a.check(s)
	if err != nil {
		return nil, inProject(err)
	}
	if _, err := o.Again.leaveOut(p); err != nil {
		return nil, err
	}
	return forShow(p, s.redactor.String), nil
}

// anyWorkspace stands for a workspace that nobody has named: a word that means nothing to a shell, as paths do. It is shown as
// $WORKSPACE.
const anyWorkspace = "/-workspace-that-nobody-has-named-"

// forShow makes p, which will not run, one that can be shown to anybody.
func forShow(p *plan.Plan, mask func(string) string) *plan.Plan {
	maskShown(reflect.ValueOf(p).Elem(), func(text string) string { return strings.ReplaceAll(mask(text), anyWorkspace, "$WORKSPACE") })
	return p
}

// maskShown masks every text that is printed, whatever fields there are, and drops the rest, which is for running and has secrets in it.
func maskShown(v reflect.Value, mask func(string) string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(mask(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			maskShown(v.Elem(), mask)
		}
	case reflect.Slice:
		for i := range v.Len() {
			maskShown(v.Index(i), mask)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == "-" {
				v.Field(i).SetZero()
			} else {
				maskShown(v.Field(i), mask)
			}
		}
	}
}
