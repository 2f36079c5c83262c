package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/project"
)

// How a command takes clients; what says nothing is called once for each of them.
const (
	clientsKey    = "clients"
	clientsShared = "shared" // it works on what all of them share, and takes none
	clientsInTurn = "turn"   // once for each, one after the other: what it makes may be the same for several
	clientsAtOnce = "once"   // it is called once, with c.many
	clientsStream = "stream" // it prints lines as they come, and no result
)

// takes says how a command, and those below it, take clients.
func takes(how string, cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{clientsKey: how}
	return cmd
}

// howClients is what the nearest command above says.
func howClients(cmd *cobra.Command) string {
	for ; cmd != nil; cmd = cmd.Parent() {
		if how, said := cmd.Annotations[clientsKey]; said {
			return how
		}
	}
	return ""
}

// forClients makes run that of each client which the flags name.
func (c *cli) forClients(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if c.parent != nil || len(c.flags.clients) == 0 && !c.flags.allClients {
			return run(cmd, args)
		}
		how := howClients(cmd)
		if how == clientsShared {
			return &app.UsageError{Message: fmt.Sprintf("%s works on what all clients share", cmd.CommandPath()), Hint: "leave out --client and --all-clients"}
		}
		names, err := c.clientNames()
		switch {
		case err != nil:
			return err
		case len(names) == 1 && !c.flags.allClients:
			c.client = names[0]
			return run(cmd, args)
		case how == clientsAtOnce:
			c.many = names
			return run(cmd, args)
		case how == clientsInTurn:
			c.flags.atOnce = 1
		}
		return c.eachClient(cmd, names, how == clientsStream)
	}
}

// clientNames returns the clients that the flags name, each once. Where there is a project, it has them.
func (c *cli) clientNames() ([]string, error) {
	t, err := c.anyTarget()
	if err != nil {
		return nil, err
	}
	var p *project.Project
	if t.ProjectDir != "" {
		if p, _, err = project.Load(t.ProjectDir, projectProviders()...); err != nil {
			return nil, &codedError{error: err, code: app.ExitUsage}
		}
	}
	if c.flags.allClients {
		return allClients(c, p)
	}
	var names []string
	for _, name := range c.flags.clients {
		switch {
		case slices.Contains(names, name):
			continue
		case app.CheckClient(name) != nil:
			return nil, app.CheckClient(name)
		case p != nil && !slices.Contains(p.ClientNames(), name):
			return nil, app.NoClient(p, name)
		}
		names = append(names, name)
	}
	return names, nil
}

func allClients(c *cli, p *project.Project) ([]string, error) {
	switch {
	case len(c.flags.clients) > 0:
		return nil, &app.UsageError{Message: "--client and --all-clients contradict each other", Hint: "give one of them"}
	case p == nil:
		return nil, &app.UsageError{Message: "--all-clients needs the project that has them", Hint: "add -p FOLDER, or name them: --client acme,globex"}
	case len(p.Clients) == 0:
		return nil, &app.UsageError{Message: "the project has no clients", Hint: "`handoff clients add NAME` makes one"}
	}
	return p.ClientNames(), nil
}

// eachClient runs this command line for each client, side by side, each as if it were alone, and prints how all of them ended.
func (c *cli) eachClient(cmd *cobra.Command, names []string, stream bool) error {
	ctx := cmd.Context()
	in, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // read only
	var texts, tables, errs sync.Map
	list := app.EachClient(ctx, names, c.flags.atOnce, func(ctx context.Context, client string) (any, int, error) {
		sub := &cli{Stdio: Stdio{In: in, Out: c.Out, Err: c.Err}, environ: c.environ, args: c.args, client: client, parent: c, held: c.held}
		sub.con = newConsole(&labelled{to: c.con, label: sub.label(names)})
		defer sub.con.close()
		defer c.setKill(sub, nil)
		root := sub.root()
		root.SetArgs(c.args)
		root.SetOut(sub.con)
		root.SetErr(sub.con)
		err := root.ExecuteContext(ctx)
		texts.Store(client, sub.text)
		tables.Store(client, sub.productTable())
		errs.Store(client, err)
		code := sub.code
		if err != nil {
			code = sub.codeOf(ctx, err)
		}
		return sub.product, code, err
	}, func(r app.ClientResult) {
		if !looksOnly(cmd) || r.ExitCode != 0 {
			c.tellClient(r)
		}
	})
	text := func(client string) string { return loaded[string](&texts, client) }
	c.explain(list, &errs)
	if stream {
		c.code = app.Worst(list)
		return nil
	}
	if looksOnly(cmd) {
		return c.printLists(list, &tables, text)
	}
	return c.printClients(list, false, text)
}

func loaded[T any](m *sync.Map, client string) (v T) {
	if x, ok := m.Load(client); ok {
		v, _ = x.(T)
	}
	return v
}

// looksOnly reports a command that shows something and does nothing: that it has done so is no news.
func looksOnly(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "list", "show", "status", "log", "next", "print", "diff", "plan":
		return true
	}
	return false
}

// productTable is the table that was printed, where it was one and nothing else.
func (c *cli) productTable() *table {
	if c.last == nil || lines(c.last.String()) != lines(c.text) {
		return nil
	}
	return c.last
}

// printLists writes what a command that only looks has shown for several clients: one list, where they are tables of one kind.
func (c *cli) printLists(list []app.ClientResult, tables *sync.Map, text func(client string) string) error {
	t := c.table()
	for _, r := range list {
		one := loaded[*table](tables, r.Client)
		if one != nil && t.head == nil {
			t.head, t.style = one.head, one.style
		}
		if one == nil && r.Error == "" || one != nil && !slices.Equal(t.head, one.head) {
			return c.printClients(list, true, text)
		}
	}
	if t.head == nil {
		return c.printClients(list, true, text)
	}
	own := slices.Contains(t.head, "CLIENT")
	if !own {
		t.head, t.style = append([]string{"CLIENT"}, t.head...), besides(t.style)
	}
	for _, r := range list {
		t.join(r, loaded[*table](tables, r.Client), own)
	}
	c.code = app.Worst(list)
	return c.print(list, t.String())
}

// join adds the rows of the table of a client. They name the client, or are given its name.
func (t *table) join(r app.ClientResult, one *table, named bool) {
	if one == nil || len(one.rows) == 0 {
		instead := "none"
		if r.Error != "" {
			instead = r.Status
		}
		row := make([]string, len(t.head))
		row[slices.Index(t.head, "CLIENT")] = r.Client
		row[slices.IndexFunc(t.head, func(title string) bool { return title != "" && title != "CLIENT" })] = instead
		t.add(row...)
		t.note(firstLine(r.Error))
		return
	}
	for i, row := range one.rows {
		if !named {
			row = append([]string{r.Client}, row...)
		}
		t.add(row...)
		for _, note := range one.notes[i] {
			t.note(note)
		}
	}
}

// label is what stands before what is said for a client; nothing before lines that are JSON.
func (c *cli) label(all []string) string {
	if c.parent.flags.logFormat == "json" {
		return ""
	}
	width := 0
	for _, name := range all {
		width = max(width, len(name))
	}
	return fmt.Sprintf("%-*s | ", width, c.client)
}

// tellClient says how a command ended for a client.
func (c *cli) tellClient(r app.ClientResult) {
	why := r.Error
	if why == "" {
		why = reasonOf(r.Result)
	}
	text := fmt.Sprintf("%s: %s after %v", r.Client, words(statusOf(r)), took(r.Seconds))
	if why != "" {
		text += ": " + firstLine(why)
	}
	level := slog.LevelInfo
	if r.ExitCode != 0 {
		level = slog.LevelError
	}
	c.logger(c.con).Log(context.Background(), level, text, "client", r.Client, "exit_code", r.ExitCode)
}

// explain prints each error once, with the clients that have met it, and the way out.
func (c *cli) explain(list []app.ClientResult, errs *sync.Map) {
	have := map[string][]string{}
	for _, r := range list {
		if r.Error != "" {
			have[r.Error] = append(have[r.Error], r.Client)
		}
	}
	for _, r := range list {
		clients := have[r.Error]
		if len(clients) == 0 {
			continue
		}
		delete(have, r.Error)
		if err, ok := errs.Load(r.Client); ok && (strings.Contains(r.Error, "\n") || r.Hint != "") {
			fmt.Fprintf(c.con, "%s:\n", strings.Join(clients, ", "))
			c.printError(err.(error))
		}
	}
}

// printClients writes the product of a command for several clients, and exits as the worst of them. text is what the command
// printed for a client, as text.
func (c *cli) printClients(list []app.ClientResult, looked bool, text func(client string) string) error {
	c.code = app.Worst(list)
	for i := range list {
		list[i].Status = statusOf(list[i])
	}
	t := c.outcomes("=CLIENT", "STATUS", ">TIME", "+RESULT")
	var more strings.Builder
	for _, r := range list {
		short, long := shortText(r, text(r.Client))
		status, took := words(shownStatus(r, looked)), span(r.Seconds)
		if looked {
			took = ""
		}
		t.add(r.Client, status, took, short)
		if long != "" {
			fmt.Fprintf(&more, "\n%s\n  %s\n", r.Client, strings.ReplaceAll(strings.TrimRight(long, " \n"), "\n", "\n  "))
		}
	}
	return c.print(list, t.String()+more.String())
}

// shortText is what the table says of a client, and what stands below the table.
func shortText(r app.ClientResult, text string) (short, long string) {
	text = strings.TrimRight(text, " \n")
	run, isRun := r.Result.(app.RunResult)
	switch {
	case r.Error != "":
		return firstLine(r.Error), ""
	case isRun: // its log, and its record, tell the rest
		return strings.TrimSuffix(fmt.Sprintf("run %s: %s", run.RunID, firstLine(reasonOf(run))), ": "), ""
	case !strings.Contains(text, "\n"):
		return text, ""
	}
	return "", text
}

// outcomeOf is what all results have that tell how something ended.
type outcomeOf struct {
	Status, Outcome, Reason string
	Task                    string `json:"failed_task"`
}

func readOutcome(v any) (o outcomeOf) {
	if text, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(text, &o) // what is no object has no outcome
	}
	return o
}

func reasonOf(v any) string {
	o := readOutcome(v)
	if o.Task != "" && o.Reason != "" {
		return o.Task + ": " + o.Reason
	}
	return cmp.Or(o.Reason, o.Task)
}

// shownStatus is the status as people want to know it: that something could be shown is none.
func shownStatus(r app.ClientResult, looked bool) string {
	if looked && r.Error == "" {
		return readOutcome(r.Result).Outcome
	}
	return statusOf(r)
}

func statusOf(r app.ClientResult) string {
	if r.Error != "" {
		return r.Status
	}
	o := readOutcome(r.Result)
	return cmp.Or(o.Outcome, o.Status, r.Status)
}

// labelled puts a label before each line that goes to a console.
type labelled struct {
	to    *console
	label string
	rest  []byte // of a line whose end has not come yet
}

// Write implements io.Writer.
func (l *labelled) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	var out []byte
	for line := range bytes.Lines(l.rest[:end]) {
		out = append(append(out, l.label...), line...)
	}
	l.rest = append([]byte(nil), l.rest[end:]...)
	if len(out) > 0 {
		_, _ = l.to.Write(out) // it never fails
	}
	return len(b), nil
}

var _ io.Writer = (*labelled)(nil)

func (c *cli) clientsCommand() *cobra.Command {
	cmd := takes(clientsShared, &cobra.Command{
		Use:   "clients",
		Short: "The clients for whom a project runs: list them, add one",
		Long: `A project may run for many clients: each has its own variables, environment, secrets,
limits and schedules, and jobs, state, artifacts and logs that no other one sees. A client
is a file, clients/NAME.yml, or an element of clients: in project.yml. Most commands take
--client acme,globex or --all-clients (docs/clients.md).`,
		Example: "  handoff clients list -p my_project -o text",
	})
	cmd.AddCommand(c.clientsListCommand(), c.clientsAddCommand())
	return cmd
}

func (c *cli) clientsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the clients of the project, and what each has of its own",
		Example: `  handoff clients list -p my_project -o text
  handoff clients list -p my_project -s prod -o json`,
		Args: noArgs,
		RunE: show(c, c.target, (*app.App).ClientsList, c.clientsText),
	}
}

func (c *cli) clientsText(res app.Clients) string {
	t := c.table("=CLIENT", ">CPU", ">MEMORY", ">STORAGE", "SCHEDULES", "SECRETS", "FILE")
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	for _, r := range res.Clients {
		secrets := ""
		if r.Secrets {
			secrets = "here"
		}
		t.add(r.Name, number(r.CPU), number(r.Memory), number(r.Storage), strings.Join(r.Schedules, ","), secrets, r.File)
	}
	return t.String()
}

func (c *cli) clientsAddCommand() *cobra.Command {
	var o app.ClientAddOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make the file of a new client",
		Long: `Write clients/NAME.yml, with the variables that -v gives and comments on what else may
stand in it; with --like it is a copy of the file of another client. Nothing is replaced.`,
		Example: `  handoff clients add acme -p my_project -v account=4711
  handoff clients add globex -p my_project --like acme`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &app.UsageError{Message: "no name given", Hint: "write handoff clients add NAME"}
			}
			return atMostOne(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Target, err = c.target(); err != nil {
				return err
			}
			o.Name = args[0]
			res, err := c.app().ClientAdd(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, strings.Join(res.Files, "\n"))
		},
	}
	cmd.Flags().StringVar(&o.Like, "like", "", "copy the file of this `client`")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "name the file that would be made, and make none")
	c.complete(cmd, "like", c.clientChoices)
	return cmd
}

// clientLists are the clients of the project, behind those that are typed already.
func (c *cli) clientLists(ctx context.Context, verbs *app.App) ([]string, error) {
	list, err := c.clientChoices(ctx, verbs)
	if len(c.args) == 0 {
		return list, err
	}
	typed := c.args[len(c.args)-1]
	if i := strings.LastIndexByte(typed, ','); i >= 0 {
		typed = strings.TrimPrefix(typed[:i+1], "--client=")
		for i := range list {
			list[i] = typed + list[i]
		}
	}
	return list, err
}

// clientChoices are the clients of the project.
func (c *cli) clientChoices(context.Context, *app.App) ([]string, error) {
	p, err := c.projectHere()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, client := range p.Clients {
		list = append(list, client.Name+"\t"+client.Description)
	}
	slices.Sort(list)
	return list, nil
}
