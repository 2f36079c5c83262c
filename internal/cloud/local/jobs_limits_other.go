//go:build !linux

package local

import "fmt"

// limits cannot be set on this system.
type limits struct{ warnings []string }

func newLimits(_, _ string, cpu, memory int) *limits {
	l := &limits{}
	for _, x := range []struct {
		name, unit string
		value      int
	}{{"cpu", "/1024 of a core", cpu}, {"memory", " MiB", memory}} {
		if x.value > 0 {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: the limit of %d%s is not enforced on this system", x.name, x.value, x.unit))
		}
	}
	return l
}

func (l *limits) dirs() []string { return nil }
func (l *limits) enter()         {}
func (l *limits) leave()         {}

func outOfMemory([]string) int     { return 0 }
func isProcessOf(int, string) bool { return false }
func removeCgroups([]string)       {}
