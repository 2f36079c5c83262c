package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
)

func (c *cli) gcCommand() *cobra.Command {
	var o app.GCOptions
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove run records and artifacts that are kept no longer",
		Long: `Remove from the bucket what runs of the task have left and the project does not keep:
records beyond keep: {runs: 10000}, records and archives of artifacts that are older than
keep: {days: 400}, archives beyond artifacts: {keep: 30}. Runs do the same, once a day. What
the next run goes on from stays, however old it is, as do its record, the record of the run
that is going on, and those of the last day. Releases and states are not touched. It may be
killed at any moment.`,
		Example: `  handoff gc -p my_project -s prod --dry-run -o text
  handoff gc -p my_project --all-clients`,
		Args: noArgs,
		RunE: show(c, c.target, func(verbs *app.App, ctx context.Context, t app.Target) (app.GCResult, error) {
			o.Target = t
			return verbs.GC(ctx, o)
		}, c.gcText),
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "list what would be removed, and remove nothing")
	return cmd
}

func (c *cli) gcText(res app.GCResult) string {
	would := ""
	if res.Status == "planned" {
		would = "would be "
	}
	t := c.table("KIND", "NAME", "-TIME", ">SIZE")
	for _, o := range res.Removed {
		t.add(o.Kind, o.Name, o.Time.UTC().Format("2006-01-02 15:04Z"), app.Bytes(o.Bytes))
	}
	text := fmt.Sprintf("%s %sremoved, %s; the records of %s stay", app.Count(len(res.Removed), "item"), would, app.Bytes(res.Bytes), app.Count(res.Kept, "run"))
	if len(t.rows) > 0 {
		text = t.String() + text
	}
	return text
}
