package workspace

import (
	"fmt"
	"path"
	"strings"
)

// glob is a pattern of paths below files/, cut at the slashes. A part "**" stands for any number of parts of the path:
// none or more in front of others, one or more at the end. The other parts are patterns of path.Match.
type glob []string

// parseGlob checks a pattern. One that ends in "/" means everything in that folder.
func parseGlob(pattern string) (glob, error) {
	text := strings.TrimPrefix(pattern, "./")
	if strings.HasSuffix(text, "/") {
		text += "**"
	}
	if _, err := path.Match(text, ""); err != nil || text == "" {
		return nil, fmt.Errorf("files: raw: %q is not a pattern", pattern)
	}
	parts := strings.Split(text, "/")
	for _, p := range parts {
		// A class that holds a slash is valid as a whole and not in parts.
		if _, err := path.Match(p, ""); err != nil || p == "" || p == ".." {
			return nil, fmt.Errorf("files: raw: %q is not a pattern of paths in files/", pattern)
		}
	}
	return parts, nil
}

// match reports whether g stands for the whole of name, a path with slashes.
func (g glob) match(name string) bool {
	parts := strings.Split(name, "/")
	// The last "**" tried, and how many parts it stands for so far: only that one needs to be widened.
	star, from := -1, 0
	i, j := 0, 0
	for j < len(parts) {
		if i < len(g) && g[i] == "**" {
			star, from = i, j
			i++
			continue
		}
		if i < len(g) && matchPart(g[i], parts[j]) {
			i++
			j++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		i, j = star+1, from
	}
	return i == len(g)
}

func matchPart(pattern, part string) bool {
	ok, err := path.Match(pattern, part)
	return ok && err == nil
}
