package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

// shelf is a store in memory, and the projects that were pushed to it.
type shelf struct {
	*Store
	t     *testing.T
	files *memory.Files
	dirs  []string
	ids   []string
}

// newShelf pushes n releases: all have one file in common, each has one of its own.
func newShelf(t *testing.T, n int) *shelf {
	t.Helper()
	files := &memory.Files{}
	c := cloud.Complete(cloud.Cloud{Scope: scope, Parallel: 4, Files: files})
	x := &shelf{Store: Open(c), t: t, files: files}
	for i := range n {
		x.dirs = append(x.dirs, folder(t, map[string]string{
			"project.yml": "version: 1\n", "files/all": strings.Repeat("a", 1000), fmt.Sprint("files/", i): strings.Repeat(fmt.Sprint(i), 1000),
		}))
		x.ids = append(x.ids, x.push(i))
	}
	return x
}

func (x *shelf) push(i int) string {
	x.t.Helper()
	res, err := pushTo(x.t.Context(), x.Store, x.dirs[i], All, false)
	if err != nil {
		x.t.Fatal(err)
	}
	return res.Release
}

// sweep sweeps on a day, and returns what is marked and what goes, by the number of the release; -1 is a part of none.
func (x *shelf) sweep(day int, needed ...int) (marked, gone []int, err error) {
	list, err := x.Sweep(x.t.Context(), SweepOptions{
		Newest: 2, Now: time.Date(2030, 1, 1+day, 0, 0, 0, 0, time.UTC),
		Needed: func(context.Context) (map[string]bool, error) {
			ids := map[string]bool{}
			for _, i := range needed {
				ids[x.ids[i]] = true
			}
			return ids, nil
		},
	})
	for _, o := range list {
		i := slices.Index(x.ids, o.Release)
		if o.Goes {
			gone = append(gone, i)
		} else {
			marked = append(marked, i)
		}
	}
	slices.Sort(marked)
	slices.Sort(gone)
	return marked, gone, err
}

// readable reports whether a release can be read, and ends the test where it is there in part.
func (x *shelf) readable(id string) bool {
	x.t.Helper()
	m, err := x.Manifest(x.t.Context(), id)
	for i := 0; err == nil && i < len(m.Entries); i++ {
		_, err = x.File(x.t.Context(), id, m.Entries[i].Path)
	}
	if err != nil && !errors.Is(err, errRemoved) {
		x.t.Fatalf("release %s: %v", Short(id), err)
	}
	return err == nil
}

func TestSweep(t *testing.T) {
	t.Parallel()
	x := newShelf(t, 5)
	step := func(day int, wantMarked, wantGone string, needed ...int) {
		t.Helper()
		marked, gone, err := x.sweep(day, needed...)
		if fmt.Sprint(marked) != wantMarked || fmt.Sprint(gone) != wantGone || err != nil {
			t.Errorf("day %d: marked %v, gone %v, %v; want %s, %s", day, marked, gone, err, wantMarked, wantGone)
		}
	}
	step(0, "[1 2]", "[]", 0)
	if id, err := x.Use(t.Context(), x.ids[1]); id != x.ids[1] || err != nil {
		t.Error(id, err)
	}
	step(1, "[1]", "[2]", 0)
	step(1, "[1]", "[]", 0)
	step(2, "[]", "[1]", 0)
	var there []bool
	for _, id := range x.ids {
		there = append(there, x.readable(id))
	}
	if fmt.Sprint(there) != "[true false false true true]" {
		t.Errorf("there: %v", there)
	}
	if _, err := x.Rollback(t.Context(), "2", Push{}); !errors.Is(err, cloud.ErrNotFound) || !strings.Contains(err.Error(), "removed on 2030-01-03") {
		t.Errorf("back to one that was removed: %v", err)
	}
	if _, err := x.Use(t.Context(), x.ids[2]); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("use of one that was removed: %v", err)
	}
	list, err := x.List(t.Context())
	if err != nil || len(list) != 5 || !list[2].Removed || !list[3].Removed || list[4].Removed {
		t.Errorf("%+v, %v", list, err)
	}
	if id := x.push(2); id != x.ids[2] || !x.readable(id) {
		t.Error("it cannot be pushed again")
	}
	if list, _ := x.List(t.Context()); list[0].Removed || list[3].Removed || !list[4].Removed {
		t.Errorf("after it was pushed again: %+v", list)
	}
	// What a killed push has left goes, too, and what a project has in common stays.
	if _, err := x.files.Put(t.Context(), x.blobKey(x.folder(), strings.Repeat("0", 80)), cloud.Bytes([]byte("left")), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	step(3, "[-1 0 3]", "[]")
	step(4, "[]", "[-1 0 3]")
	if !x.readable(x.ids[2]) || !x.readable(x.ids[4]) || x.blobs() != 3 {
		t.Errorf("%d blobs", x.blobs())
	}
}

func (x *shelf) folder() string {
	x.t.Helper()
	r, err := x.read(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	return r.Data
}

func (x *shelf) blobs() (n int) {
	for _, key := range x.files.Keys() {
		if strings.Contains(key, "/blobs/") {
			n++
		}
	}
	return n
}

// TestSweepBesideOthers: at each call of a sweep somebody else does something from begin to end, or has begun before the sweep and ends
// there. What has worked for the one is there when the sweep has ended, however it ends; and a sweep that is killed at a call is the same.
func TestSweepBesideOthers(t *testing.T) {
	t.Parallel()
	others := map[string]func(x *shelf) (id string, err error){
		"back to one that goes": func(x *shelf) (string, error) {
			p, err := x.Rollback(x.t.Context(), x.ids[0], Push{})
			return p.Release, err
		},
		"push of one that goes": func(x *shelf) (string, error) {
			res, err := pushTo(x.t.Context(), x.Store, x.dirs[0], All, false)
			return res.Release, err
		},
		"push of another one": func(x *shelf) (string, error) {
			dir := folder(x.t, map[string]string{"project.yml": "version: 1\n", "files/all": strings.Repeat("a", 1000), "files/new": "new"})
			res, err := pushTo(x.t.Context(), x.Store, dir, All, false)
			return res.Release, err
		},
		"use of one that goes": func(x *shelf) (string, error) { return x.Use(x.t.Context(), x.ids[0]) },
		"another sweep":        func(x *shelf) (string, error) { _, _, err := x.sweep(1); return x.ids[3], err },
		"death":                nil,
	}
	for name, other := range others {
		for at := 1; ; at++ {
			x := newShelf(t, 4)
			if _, _, err := x.sweep(0); err != nil {
				t.Fatal(err)
			}
			n, busy, id := 0, false, x.ids[3]
			var failed error
			x.files.Before = func(call, _ string) error {
				if busy {
					return nil
				}
				if n++; n != at {
					return nil
				}
				if other == nil {
					return errDead
				}
				busy = true
				id, failed = other(x)
				busy = false
				return nil
			}
			_, _, err := x.sweep(1)
			x.files.Before = nil
			if err != nil && !errors.Is(err, errDead) {
				t.Errorf("%s at call %d: sweep: %v", name, at, err)
			}
			if failed != nil && !errors.Is(failed, errRemoved) {
				t.Errorf("%s at call %d: %v", name, at, failed)
			}
			x.check(name, at, id, failed == nil)
			if _, _, err := x.sweep(1); err != nil {
				t.Errorf("%s at call %d: again: %v", name, at, err)
			}
			x.check(name, at, id, failed == nil && name != "use of one that goes")
			if t.Failed() || n < at {
				break
			}
		}
	}
}

var errDead = errors.New("dead")

// check checks that what is current is whole, as is id, where it has to be there, and that all others are there whole or not at all.
func (x *shelf) check(name string, at int, id string, there bool) {
	x.t.Helper()
	current, err := x.Resolve(x.t.Context(), "")
	if err != nil || !x.readable(current) || there && !x.readable(id) {
		x.t.Errorf("%s at call %d: %s is not whole; %v", name, at, Short(id), err)
	}
	for _, id := range x.ids {
		x.readable(id)
	}
}

// TestSweepBesidePushesUnderWay: a push that has begun before a sweep, and ends behind it, finds that it has to begin anew.
func TestSweepBesidePushesUnderWay(t *testing.T) {
	t.Parallel()
	fresh := folder(t, map[string]string{"project.yml": "version: 1\n", "files/new": "new"})
	for at := 2; ; at++ { // in turns one that goes and a new one
		x := newShelf(t, 4)
		x.dirs = append(x.dirs, fresh)
		if _, _, err := x.sweep(0); err != nil {
			t.Fatal(err)
		}
		n, busy := 0, false
		x.files.Before = func(string, string) error {
			if n++; n == at/2 && !busy {
				busy = true
				for day := range 3 { // that of what the push has uploaded so far, too
					if _, _, err := x.sweep(1 + day); err != nil {
						t.Error(err)
					}
				}
				n = at / 2
			}
			return nil
		}
		id := x.push(at % 2 * 4)
		calls := n
		x.files.Before = nil
		if !x.readable(id) {
			t.Errorf("at call %d: what was pushed is not there", at/2)
		}
		if t.Failed() || calls < at/2 {
			break
		}
	}
}
