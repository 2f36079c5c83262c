package container

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// firstVersion is that of the first image of a name.
const firstVersion = "0.1"

// version is a tag of numbers with dots between them, such as 0.2 or 1.10.3.
type version []int

// parseVersion returns false for any other tag.
func parseVersion(tag string) (version, bool) {
	var v version
	for part := range strings.SplitSeq(tag, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || strconv.Itoa(n) != part || n < 0 {
			return nil, false
		}
		v = append(v, n)
	}
	return v, len(v) > 1
}

func (v version) compare(w version) int { return slices.Compare(v, w) }

func (v version) next() string {
	parts := make([]string, len(v))
	for i, n := range v {
		if i == len(v)-1 {
			n++
		}
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ".")
}

// Next returns the version after the highest of tags, which may have others that are no versions: 0.10 after 0.9, and 0.1 where there
// is none.
func Next(tags []string) string {
	var last version
	for _, tag := range tags {
		if v, ok := parseVersion(tag); ok && v.compare(last) > 0 {
			last = v
		}
	}
	if last == nil {
		return firstVersion
	}
	return last.next()
}

// Newest sorts tags: versions first, the highest at the head, then the others by name.
func Newest(tags []string) []string {
	tags = slices.Clone(tags)
	slices.SortFunc(tags, func(a, b string) int {
		v, aok := parseVersion(a)
		w, bok := parseVersion(b)
		switch {
		case aok && bok:
			return cmp.Or(w.compare(v), cmp.Compare(a, b))
		case aok:
			return -1
		case bok:
			return 1
		}
		return cmp.Compare(a, b)
	})
	return slices.Compact(tags)
}
