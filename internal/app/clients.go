package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
)

// ClientResult is how a verb ended for one client.
type ClientResult struct {
	Client   string  `json:"client"`
	Status   string  `json:"status"` // that of the result; error where there is none
	ExitCode int     `json:"exit_code"`
	Seconds  float64 `json:"seconds"`
	Error    string  `json:"error,omitempty"`
	Hint     string  `json:"hint,omitempty"`
	Result   any     `json:"result,omitempty"` // as the verb returns it for one client
}

// AtOnce is for how many clients something is done at a time where nobody says.
const AtOnce = 8

// EachClient calls do for each client, for atOnce of them at a time (0: AtOnce), and returns how it ended for each, in their order.
// What becomes of one changes nothing for the others. do returns a result, which is nil where there is an error alone, its exit
// code, and the error. ended is told of each as it ends; calls do not overlap; it may be nil. Once ctx has ended, do is called for
// no further client.
func EachClient(ctx context.Context, clients []string, atOnce int, do func(ctx context.Context, client string) (any, int, error), ended func(ClientResult)) []ClientResult {
	list := make([]ClientResult, len(clients))
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(cmp.Or(atOnce, AtOnce))
	for i, client := range clients {
		all.Go(func() error {
			r := oneClient(ctx, client, do)
			mu.Lock()
			defer mu.Unlock()
			if list[i] = r; ended != nil {
				ended(r)
			}
			return nil
		})
	}
	_ = all.Wait() // no call returns an error
	return list
}

func oneClient(ctx context.Context, client string, do func(context.Context, string) (any, int, error)) ClientResult {
	if ctx.Err() != nil {
		return ClientResult{Client: client, Status: "not started", ExitCode: interruptCode(ctx)}
	}
	start := time.Now()
	res, code, err := do(ctx, client)
	r := ClientResult{Client: client, Status: "success", ExitCode: code, Result: res, Seconds: seconds(time.Since(start))}
	if code != 0 {
		r.Status = string(pipeline.Failed)
	}
	if err != nil {
		r.Error, r.Hint = err.Error(), HintOf(err)
		if r.ExitCode == 0 {
			r.ExitCode = Code(err)
		}
		if res == nil {
			r.Status = "error"
		}
	}
	return r
}

// interruptCode is the exit code of what ctx has ended.
func interruptCode(ctx context.Context) int {
	if in, ok := errors.AsType[pipeline.Interrupt](context.Cause(ctx)); ok {
		return ExitSignal + int(in.Signal)
	}
	return ExitFailed
}

// Worst returns the exit code for all clients: the highest one, where a refusal counts less than anything that went wrong.
func Worst(list []ClientResult) int {
	worst := 0
	for _, r := range list {
		if rank(r.ExitCode) > rank(worst) {
			worst = r.ExitCode
		}
	}
	return worst
}

func rank(code int) float64 {
	if code == ExitRefused {
		return 0.5
	}
	return float64(code)
}

// Clients are the clients of a project.
type Clients struct {
	Status  string       `json:"status"`
	Clients []ClientInfo `json:"clients"`
}

// ClientInfo is what a client has of its own.
type ClientInfo struct {
	Name          string   `json:"name"`
	Description   string   `json:"description,omitempty"`
	File          string   `json:"file"` // and line, where it stands
	Vars          []string `json:"vars,omitempty"`
	Envs          []string `json:"envs,omitempty"`
	Schedules     []string `json:"schedules,omitempty"` // all that it has, by target_id
	ResourceGroup string   `json:"resource_group,omitempty"`
	CPU           int      `json:"cpu,omitempty"`
	Memory        int      `json:"memory,omitempty"`  // MiB
	Storage       int      `json:"storage,omitempty"` // GiB
	Secrets       bool     `json:"secrets"`           // it has a folder of secrets here
}

// ClientsList returns the clients of the project of t, as they are in the env stage of t, sorted by name.
func (a *App) ClientsList(_ context.Context, t Target) (Clients, error) {
	p, err := a.wantProject(t, "the one that has the clients")
	if err != nil {
		return Clients{}, err
	}
	res := Clients{Status: "success", Clients: []ClientInfo{}}
	for _, c := range p.Clients {
		own := t
		own.Client = c.Name
		at, err := own.of(p)
		if err != nil {
			return Clients{}, err
		}
		info := ClientInfo{
			Name: c.Name, Description: c.Description, File: fmt.Sprintf("%s:%d", c.Pos.File, c.Pos.Line),
			ResourceGroup: at.Deploy.ResourceGroup, CPU: at.Deploy.CPU, Memory: at.Deploy.Memory, Storage: at.Deploy.Storage,
			Secrets: exists(own.clientSecrets()),
		}
		for _, v := range c.Vars {
			info.Vars = append(info.Vars, v.Key)
		}
		for _, e := range c.Envs {
			info.Envs = append(info.Envs, e.Key)
		}
		for _, s := range at.Schedules {
			info.Schedules = append(info.Schedules, s.TargetID)
		}
		res.Clients = append(res.Clients, info)
	}
	slices.SortFunc(res.Clients, func(x, y ClientInfo) int { return strings.Compare(x.Name, y.Name) })
	return res, nil
}

// CheckClient refuses what cannot be the name of a client.
func CheckClient(name string) error {
	scope := cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t", Client: name}
	if err := scope.Check(); err != nil || name == "" {
		return &UsageError{Message: fmt.Sprintf("%q is not a name of a client", name), Hint: "use letters, digits, \"_\", \"-\" and \".\", with no dot in front"}
	}
	return nil
}

// ClientAddOptions says which client to make.
type ClientAddOptions struct {
	Target
	Name   string // Vars are its variables
	Like   string // a client whose file is copied; "": a file that says what can stand in it
	DryRun bool
}

// ClientAdd writes the file of a new client, with comments that say what can stand there. No file is replaced.
func (a *App) ClientAdd(_ context.Context, o ClientAddOptions) (InitResult, error) {
	p, err := a.wantProject(o.Target, "the one that shall have the client")
	if err != nil {
		return InitResult{}, err
	}
	if err := CheckClient(o.Name); err != nil {
		return InitResult{}, err
	}
	if slices.Contains(p.ClientNames(), o.Name) {
		return InitResult{}, &UsageError{Message: fmt.Sprintf("there is a client %q already", o.Name), Hint: "see `handoff clients list`"}
	}
	dir := filepath.Join(o.ProjectDir, project.ClientsDir)
	file := filepath.Join(dir, o.Name+".yml")
	res := InitResult{Status: status(o.DryRun), Project: o.ProjectDir, Files: []string{file}}
	text := clientText(p, o)
	if o.Like != "" {
		if text, err = likeClient(p, o); err != nil {
			return InitResult{}, err
		}
	}
	if _, _, err := project.DecodeClient(p, file, o.Name, []byte(text)); err != nil {
		return InitResult{}, &UsageError{Message: "these values do not make a valid client:\n" + err.Error()}
	}
	if o.DryRun {
		return res, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return InitResult{}, inProject(err)
	}
	return res, inProject(writeNew(file, text))
}

// likeClient is the file of another client.
func likeClient(p *project.Project, o ClientAddOptions) (string, error) {
	i := slices.IndexFunc(p.Clients, func(c project.Client) bool { return c.Name == o.Like })
	switch {
	case i < 0:
		return "", NoClient(p, o.Like)
	case len(o.Vars) > 0:
		return "", &UsageError{Message: "--like and -v contradict each other", Hint: "change the copy in an editor"}
	}
	text, err := os.ReadFile(filepath.Join(o.ProjectDir, project.ClientsDir, o.Like+".yml"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", &UsageError{Message: fmt.Sprintf("client %q is no file of its own: it stands in %s", o.Like, p.Clients[i].Pos), Hint: "copy it there"}
	}
	return string(text), inProject(err)
}

func writeNew(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// clientText is the file of a new client of a project: its variables, and each key that it may have, switched off, with what the
// project says.
func clientText(p *project.Project, o ClientAddOptions) string {
	var b strings.Builder
	name := o.Name
	fmt.Fprintf(&b, "# The client %s. What stands here lies over project.yml: docs/clients.md.\n", name)
	fmt.Fprintf(&b, "# Its secrets are in .secrets/clients/%s/secrets.yml.\n\nvars:\n", name)
	for _, v := range o.Vars {
		fmt.Fprintf(&b, "- {key: %s, value: %s}\n", quote(v.Key), strconv.Quote(v.Value))
	}
	for _, v := range p.Vars {
		if !slices.ContainsFunc(o.Vars, func(own project.KeyValue) bool { return own.Key == v.Key }) {
			about := strings.TrimPrefix(first(v.Type)+first(": "+v.Description), ": ")
			fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("# - {key: %s, value: ...}   # %s", v.Key, strings.TrimSuffix(about, ": ")), "# "))
		}
	}
	if len(p.Vars)+len(o.Vars) == 0 {
		b.WriteString("# - {key: account, value: '4711'}\n")
	}
	b.WriteString("\n# envs:\n# - {key: TZ, value: Europe/Paris}\n\n# deploy:\n#   cpu: 256        # 1/1024 of a core\n#   memory: 512     # MiB\n#   storage: 21     # GiB\n")
	b.WriteString("\n# schedules:      # [] means none\n")
	for _, s := range p.Schedules {
		fmt.Fprintf(&b, "# - {target_id: %s, cron: '%s'}\n", s.TargetID, s.Cron)
	}
	if len(p.Schedules) == 0 {
		b.WriteString("# - {target_id: 1, cron: '0 2 * * ? *'}\n")
	}
	b.WriteString("\n# stages:         # what is different for it in an env stage\n#   prod:\n#     deploy: {memory: 2048}\n")
	return b.String()
}

// clientPush is what a push for one client goes on from.
type clientPush struct {
	session *session
	cloud   *cloud.Cloud
}

// PushClients pushes for several clients: the secrets of each, and then the one release that all of them run, once for each
// resource group. Nothing is pushed where something is wrong for one of them: the release would be current for that one, too.
func (a *App) PushClients(ctx context.Context, o PushOptions, clients []string, ended func(ClientResult)) []ClientResult {
	pushes := map[string]*clientPush{}
	var mu sync.Mutex
	checked := EachClient(ctx, clients, 0, func(ctx context.Context, client string) (any, int, error) {
		own := o
		own.Client = client
		s, c, err := a.openWithCloud(ctx, own.Target)
		if err == nil {
			err = a.checkPush(ctx, s, c, own)
			s.hideSecrets(&err)
		}
		mu.Lock()
		defer mu.Unlock()
		pushes[client] = &clientPush{session: s, cloud: c}
		return nil, 0, err
	}, nil)
	if wrong := withErrors(checked); len(wrong) > 0 {
		return notPushed(checked, wrong, ended)
	}
	var groups sync.Map // place of the release -> func() (PushResult, error)
	return EachClient(ctx, clients, len(clients), func(ctx context.Context, client string) (any, int, error) {
		return a.pushClient(ctx, pushes[client], o, &groups)
	}, ended)
}

// withErrors returns the clients for which something is wrong.
func withErrors(list []ClientResult) (names []string) {
	for _, r := range list {
		if r.ExitCode != 0 {
			names = append(names, r.Client)
		}
	}
	return names
}

func notPushed(checked []ClientResult, wrong []string, ended func(ClientResult)) []ClientResult {
	for i := range checked {
		if r := &checked[i]; r.ExitCode == 0 {
			r.Status, r.ExitCode = "not pushed", ExitUsage
			r.Error = "the release is for all clients, and something is wrong for " + strings.Join(wrong, ", ")
		}
		if ended != nil {
			ended(checked[i])
		}
	}
	return checked
}

// pushClient pushes the secrets of a client, and the release, unless another client of its resource group has done so.
func (a *App) pushClient(ctx context.Context, p *clientPush, o PushOptions, groups *sync.Map) (res any, code int, err error) {
	defer p.session.hideSecrets(&err)
	var secrets []SecretStatus
	if o.Secrets {
		if secrets, err = a.pushSecrets(ctx, p.session, p.cloud, o); err != nil {
			return nil, 0, err
		}
	}
	place := placeOf(p.cloud)
	place.Client = ""
	fresh := sync.OnceValues(func() (PushResult, error) { return a.pushRelease(ctx, p.session, p.cloud, o) })
	once, _ := groups.LoadOrStore(place, fresh)
	done, err := once.(func() (PushResult, error))()
	if err != nil {
		return nil, 0, err
	}
	done.Place, done.Secrets = placeOf(p.cloud), secrets
	return done, 0, nil
}
