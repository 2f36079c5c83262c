package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/project"
)

// spellings are the words for which 0.4.x has -v key=value where a command has flags: by the path of the command, from the
// key, or from key=value, to the flag, or to flag=value. "" is for what means nothing here.
func spellings() map[string]map[string]string {
	release := map[string]string{"release": "release"}
	return map[string]map[string]string{
		"cloud run":         {"target_id": "target-id", "release": "release"},
		"cloud task create": release,
		"cloud task update": release,
		"cloud job status": {
			"id": "job", "run": "run", "running": "running", "stopped": "ended", "resource_group_level": "group", "limit": "limit", "full": "",
		},
		"cloud job stop": {"id": "job", "run": "run", "reason": "reason", "grace": "grace"},
		"cloud logs": {
			"start_time": "since", "end_time": "until", "follow": "follow", "filter": "filter", "limit": "limit",
			"id": "job", "job": "job", "run": "run",
		},
		"cloud schedule create": {
			"target_id": "target-id", "cron": "cron", "timezone": "timezone", "catchup": "catchup", "overlap": "overlap",
			"description": "description",
		},
		"cloud schedule list": {
			"include_unpublished": "drafts", "scope=declared": "declared=true", "scope=prefix": "", "scope=all": "", "full": "",
		},
		"cloud schedule delete": {"target_id": "target-id"},
		"schedule next": {
			"target_id": "target-id", "cron": "cron", "timezone": "timezone", "from": "from", "count": "count",
		},
	}
}

// translate sets the flags of cmd that -v spells as 0.4.x does, and moves what names a task to where -e has it. What is left
// are the template variables of a run; only a command that starts one takes any.
func (c *cli) translate(cmd *cobra.Command) error {
	path := commandPath(cmd)
	known, ok := spellings()[path]
	if !ok {
		return nil
	}
	vars, err := parseList("-v", c.flags.vars)
	if err != nil {
		return err
	}
	c.read = &readVars{}
	for _, v := range vars {
		flag, old := known[v.Key+"="+v.Value]
		if !old {
			flag, old = known[v.Key]
		}
		switch {
		case slices.Contains(app.ScopeKeys(), v.Key):
			c.read.envs = append(c.read.envs, v)
		case old:
			if err := setOld(cmd, v, flag); err != nil {
				return err
			}
		case path == "cloud run":
			c.read.vars = append(c.read.vars, v)
		default:
			return unknownOld(v.Key, known)
		}
	}
	return nil
}

func commandPath(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "handoff ") }

// readVars are the -v of a command that has taken its flags out of them.
type readVars struct{ vars, envs []project.KeyValue }

// setOld sets a flag: "name" to the value of v, "name=value" to that value.
func setOld(cmd *cobra.Command, v project.KeyValue, flag string) error {
	name, value, fixed := strings.Cut(flag, "=")
	if name == "" {
		return nil
	}
	var err error
	if !fixed {
		value = v.Value
	}
	f := cmd.Flags().Lookup(name)
	if f.Value.Type() == "bool" {
		var yes bool
		yes, err = parseBool(value)
		value = strconv.FormatBool(yes)
	}
	if err == nil {
		err = f.Value.Set(value)
	}
	if err != nil {
		return &app.UsageError{
			Message: fmt.Sprintf("-v %s=%s cannot be read: %v", v.Key, v.Value, err), Hint: fmt.Sprintf("see --%s in %s --help", name, cmd.CommandPath()),
		}
	}
	return nil
}

func unknownOld(key string, known map[string]string) error {
	var keys []string
	for k := range known {
		k, _, _ = strings.Cut(k, "=")
		keys = append(keys, k)
	}
	slices.Sort(keys)
	err := &app.UsageError{Message: fmt.Sprintf("there is no -v %s here", key), Hint: "there are: " + strings.Join(slices.Compact(keys), ", ")}
	if near := project.Suggest(key, keys); near != "" {
		err.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return err
}

// parseBool reads a truth value as 0.4.x does: true, false, t, f, in any case; and 1, 0, yes, no.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "yes", "y", "on":
		return true, nil
	case "no", "n", "off":
		return false, nil
	}
	return strconv.ParseBool(strings.ToLower(text))
}
