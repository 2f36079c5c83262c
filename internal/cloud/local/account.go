package local

import (
	"cmp"
	"context"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Account is the user of this machine who runs handoff: there is nobody to log in to.
type Account struct{ home *Home }

var _ cloud.Account = (*Account)(nil)

// Account returns who handoff is.
func (h *Home) Account() *Account { return &Account{home: h} }

// Check implements cloud.Account. It is ErrDenied where the user may not write to the home.
func (a *Account) Check(ctx context.Context) (cloud.Identity, error) {
	if ctx.Err() != nil {
		return cloud.Identity{}, context.Cause(ctx)
	}
	probe, err := os.CreateTemp(a.home.dir, ".probe-")
	if err != nil {
		return cloud.Identity{}, kind(err)
	}
	_ = probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return cloud.Identity{}, kind(err)
	}
	name := strconv.Itoa(os.Getuid())
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return cloud.Identity{Account: a.home.dir, User: name}, nil
}

// Groups implements cloud.Account.
func (a *Account) Groups(ctx context.Context) (list []cloud.Scope, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	err = eachPart(filepath.Join(a.home.dir, "tasks"), func(stage, dir string) error {
		return eachPart(dir, func(group, dir string) error {
			found, err := hasTask(dir)
			if err == nil && !found {
				err = eachPart(filepath.Join(dir, clientsDir), func(_, dir string) (err error) {
					if !found {
						found, err = hasTask(dir)
					}
					return err
				})
			}
			if found {
				list = append(list, cloud.Scope{Stage: stage, ResourceGroup: group})
			}
			return err
		})
	})
	slices.SortFunc(list, func(x, y cloud.Scope) int {
		return cmp.Or(strings.Compare(x.Stage, y.Stage), strings.Compare(x.ResourceGroup, y.ResourceGroup))
	})
	return list, err
}

// hasTask reports whether a folder has the file of a task.
func hasTask(dir string) (bool, error) {
	files, err := names(dir)
	return slices.ContainsFunc(files, func(name string) bool { return strings.HasSuffix(name, ".json") }), err
}
