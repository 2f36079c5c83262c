package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/handoff-run/handoff/internal/plan"
)

// PlanOptions names what to plan.
type PlanOptions struct{ Target }

// Plan answers what `run local` would run, with the values of secrets masked. Nothing is changed.
func (a *App) Plan(_ context.Context, o PlanOptions) (res *plan.Plan, err error) {
	s, err := a.open(o.Target)
	if err != nil {
		return nil, err
	}
	defer s.hideSecrets(&err)
	p, err := a.check(s)
	if err != nil {
		return nil, inProject(err)
	}
	return masked(p, s.redactor.String)
}

// masked copies p through its printed form, so that no text escapes the mask.
func masked(p *plan.Plan, mask func(string) string) (*plan.Plan, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	text, err = json.Marshal(maskTree(tree, mask))
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	out := new(plan.Plan)
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	return out, nil
}

func maskTree(v any, mask func(string) string) any {
	switch v := v.(type) {
	case string:
		return mask(v)
	case []any:
		for i := range v {
			v[i] = maskTree(v[i], mask)
		}
	case map[string]any:
		for k := range v {
			v[k] = maskTree(v[k], mask)
		}
	}
	return v
}
