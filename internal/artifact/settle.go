package artifact

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// forgotten is the age from which an archive that a run without a lease has begun is a leftover.
const forgotten = 7 * 24 * time.Hour

// begin notes that an archive is about to be written, so that a later Settle finds what is left of it. current is the archive
// from which the next run would go on.
func (s *Store) begin(ctx context.Context, a Archive, current string, fence int64) error {
	return s.change(ctx, true, func(x *Index) error {
		x.adopt(current)
		x.loosen(a, fence)
		return nil
	})
}

// loosen notes an archive that is not, or not any more, one of those that there are.
func (x *Index) loosen(a Archive, fence int64) {
	x.Loose = slices.DeleteFunc(x.Loose, func(l Loose) bool { return l.Name == a.Name })
	x.Loose = append(x.Loose, Loose{Archive: a, Fence: fence})
}

// adopt makes the archive that somebody has named one of those that there are: the run that did may have died since.
func (x *Index) adopt(name string) {
	i := slices.IndexFunc(x.Loose, func(l Loose) bool { return l.Name == name })
	if i >= 0 {
		x.insert(x.Loose[i].Archive)
		x.Loose = slices.Delete(x.Loose, i, i+1)
		return
	}
	at, err := time.Parse(archivesName+"/"+timeForm, name)
	if err == nil && !x.has(name) { // the machine has crashed before the index was safe
		x.insert(Archive{Name: name, Time: at})
	}
}

// has reports whether an archive is one of those that there are.
func (x *Index) has(name string) bool {
	named := func(a Archive) bool { return a.Name == name }
	return slices.ContainsFunc(x.Archives, named) || slices.ContainsFunc(x.Failed, named)
}

func (x *Index) insert(a Archive) {
	list := &x.Archives
	if strings.HasPrefix(a.Name, failedName+"/") {
		list = &x.Failed
	}
	*list = slices.DeleteFunc(*list, func(b Archive) bool { return b.Name == a.Name })
	at, _ := slices.BinarySearchFunc(*list, a, func(b, a Archive) int { return a.Time.Compare(b.Time) })
	*list = slices.Insert(*list, at, a)
}

// Settle takes a stored archive into the index and removes what is too many, and what runs have left that died while they
// stored. now returns the archive from which the next run goes on, which always stays. It is asked when the index has been read:
// who has named an archive since, has not brought it into the index before. What fails here is made up for by the next Settle.
func (s *Store) Settle(ctx context.Context, a Archive, now func(context.Context) (string, error), fence int64, keep int) error {
	return s.settle(ctx, a, now, fence, Limit{Archives: keep})
}

// Limit says which archives are kept, of good runs and of what failed ones have left. The one from which the next run goes on always is.
type Limit struct {
	Archives int       // so many of the newest; 0: all
	Before   time.Time // none that is older
}

// Sweep removes what l does not keep; now is as for Settle.
func (s *Store) Sweep(ctx context.Context, now func(context.Context) (string, error), l Limit) error {
	current, err := now(ctx)
	if err != nil {
		return err
	}
	if old, err := s.Beyond(ctx, current, l); err != nil || len(old) == 0 {
		return err
	}
	return s.settle(ctx, Archive{}, now, 0, l)
}

// Beyond returns the archives that Sweep would remove. current is the archive from which the next run goes on.
func (s *Store) Beyond(ctx context.Context, current string, l Limit) ([]Archive, error) {
	x, err := s.Index(ctx)
	if err != nil {
		return nil, err
	}
	x.adopt(current)
	return x.trim(l, current), nil
}

func (s *Store) settle(ctx context.Context, a Archive, now func(context.Context) (string, error), fence int64, limit Limit) error {
	dead, err := s.dropDead(ctx, a, now, fence)
	if err != nil {
		return err
	}
	var trimmed []Archive
	err = s.change(ctx, false, func(x *Index) error {
		current, err := now(ctx)
		if err != nil {
			return err
		}
		x.adopt(current)
		x.Loose = slices.DeleteFunc(x.Loose, func(l Loose) bool { return l.Name == a.Name || slices.Contains(dead, l.Name) })
		if a.Name != "" {
			x.insert(a)
		}
		trimmed = x.trim(limit, current)
		return nil
	})
	if err != nil {
		return err
	}
	for _, old := range trimmed { // they are loose: what is left of them now, the next Settle removes
		err = errors.Join(err, s.drop(ctx, old.Name))
	}
	return err
}

// dropDead removes what nobody writes any more, and names it.
func (s *Store) dropDead(ctx context.Context, a Archive, now func(context.Context) (string, error), fence int64) ([]string, error) {
	x, err := s.Index(ctx)
	if err != nil {
		return nil, err
	}
	current, err := now(ctx)
	if err != nil {
		return nil, err
	}
	x.adopt(current)
	dead := x.dead(a, fence, s.Now())
	for _, name := range dead {
		if err := s.drop(ctx, name); err != nil {
			return nil, err
		}
	}
	return dead, nil
}

// dead names what nobody writes any more: who has a lower fence has lost the lease.
func (x *Index) dead(a Archive, fence int64, now time.Time) []string {
	var names []string
	for _, l := range x.Loose {
		lost := l.Fence > 0 && l.Fence < fence || now.Sub(l.Time) > forgotten
		if lost && l.Name != a.Name {
			names = append(names, l.Name)
		}
	}
	return names
}

// trim makes the archives beyond the limit loose, and returns them.
func (x *Index) trim(limit Limit, current string) []Archive {
	var old []Archive
	for _, list := range []*[]Archive{&x.Archives, &x.Failed} {
		n := 0
		*list = slices.DeleteFunc(*list, func(a Archive) bool {
			n++
			few := limit.Archives <= 0 || n <= limit.Archives
			if few && !a.Time.Before(limit.Before) || a.Name == current {
				return false
			}
			old = append(old, a)
			return true
		})
	}
	for _, a := range old {
		x.loosen(a, 1) // lower than any fence to come
		if x.Last != nil && x.Last.Name == a.Name {
			x.Last = nil
		}
	}
	return old
}

// Show makes artifacts/last equal to the archive: it is for people and other programs, no run reads it. With the name "" it
// is removed.
func (s *Store) Show(ctx context.Context, name string) error {
	if name == lastName {
		return nil
	}
	snap, err := s.Snapshot(ctx, name)
	if err != nil {
		return err
	}
	return s.mirror(ctx, snap)
}

// List returns the archives of good runs and what failed runs have left, the newest first. current is the archive from which the
// next run goes on.
func (s *Store) List(ctx context.Context, current string) (good, failed []Archive, err error) {
	x, err := s.Index(ctx)
	if err != nil {
		return nil, nil, err
	}
	x.adopt(current)
	return x.Archives, x.Failed, nil
}
