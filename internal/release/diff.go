package release

import "strings"

// Difference is one path in which two releases differ.
type Difference struct {
	Path   string `json:"path"`
	Change string `json:"change"` // added, removed, changed
	Before int64  `json:"size_before,omitempty"`
	After  int64  `json:"size_after,omitempty"`
}

// Diff returns what is different in b; both are sorted by path.
func Diff(a, b []Entry) []Difference {
	out := []Difference{}
	for len(a) > 0 || len(b) > 0 {
		switch c := order(a, b); {
		case c < 0:
			out = append(out, Difference{Path: a[0].Path, Change: "removed", Before: a[0].Size})
			a = a[1:]
		case c > 0:
			out = append(out, Difference{Path: b[0].Path, Change: "added", After: b[0].Size})
			b = b[1:]
		default:
			if !same(&a[0], &b[0]) {
				out = append(out, Difference{Path: a[0].Path, Change: "changed", Before: a[0].Size, After: b[0].Size})
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// order compares the first entries.
func order(a, b []Entry) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return strings.Compare(a[0].Path, b[0].Path)
}

func same(a, b *Entry) bool {
	return a.SHA256 == b.SHA256 && a.executable() == b.executable() && a.Link == b.Link && a.Dir == b.Dir
}
