package cloud

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"
)

// Naming is what a provider takes as the name of one kind of thing, such as a bucket or a job.
type Naming struct {
	Start string // of every name: "handoff-", "/handoff/"; it is legal, and so is whatever begins with it
	Sep   byte   // between the parts of a name: '-', or '/' in a path
	Max   int    // bytes; at least those of Start and 16 more
	Upper bool   // capital letters are taken, and are others than the small ones
	Also  string // signs that are taken beside letters, digits and "-"

	// Shared gives every name a hash. It is for names that are unique in the world (what tells our account from others has
	// then to be in thing), or some ends of which are reserved.
	Shared bool
}

// Name returns the name of a thing of a scope: "handoff-prod-etl-rates-1" for the schedule 1 of a task. It is legal, always
// the same for the same scope and thing, and never that of another scope or thing. Where the parts as they are would not be
// legal, would be too long, or could be those of another thing, the name has them in small letters, with "-" in the place of
// what is not taken, the longest ones cut, and then a hash of the exact parts: "handoff-prod-etl-usgs-earthquakes-3kq2mzv7tpaa".
// A part in which there is the separator makes that so, and outside of paths a client does, or a scope without a task.
//
// handoff 0.4.x had no hash: its names can be those of several things. Older returns them. A provider that takes over what
// 0.4.x has left looks for that name first, where the scope has no client. What it finds it goes on with if it says of itself
// that it is of just this scope (the environment of a task definition, the parameters of a stack). What is made anew gets Name.
func (n Naming) Name(s Scope, thing ...string) string {
	parts := append(s.parts(), thing...)
	name := n.Start + strings.Join(parts, string(n.Sep))
	if !n.Shared && len(name) <= n.Max && !slices.ContainsFunc(parts, n.unclear) && !isHash(parts[len(parts)-1]) {
		return name
	}
	parts = append([]string{s.Stage, s.ResourceGroup, s.Client, s.Task}, thing...)
	end := hash(parts)
	for i, part := range parts {
		parts[i] = likeness(part)
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	parts = shortened(parts, n.Max-len(n.Start)-len(end)-1)
	return n.Start + strings.Join(append(parts, end), string(n.Sep))
}

// Older returns the name of 0.4.x for a thing of a scope without a client. The env stage stands in front of the resource group,
// unless it is prod; task is the name of the task as it was used in that place, which may have had it as well, or "".
func Older(sep string, s Scope, task string, thing ...string) string {
	group := s.ResourceGroup
	if s.Stage != "prod" {
		group = s.Stage + "-" + group
	}
	parts := slices.Concat([]string{"handoff", group, task}, thing)
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), sep)
}

// parts tell s from every other scope.
func (s Scope) parts() []string {
	parts := []string{s.Stage, s.ResourceGroup}
	if s.Task == "" {
		return append(parts, ".group") // no name begins with a dot
	}
	return append(parts, strings.Split(s.Prefix(), "/")...)
}

// unclear reports whether a part cannot stand in a name as it is.
func (n Naming) unclear(part string) bool {
	mark := strings.HasPrefix(part, ".") && n.Sep != '/'
	return part == "" || mark || strings.IndexByte(part, n.Sep) >= 0 || strings.ContainsFunc(part, func(r rune) bool { return !n.takes(r) })
}

func (n Naming) takes(r rune) bool {
	return smallOrDigit(r) || r == '-' || 'A' <= r && r <= 'Z' && n.Upper || strings.ContainsRune(n.Also, r)
}

func smallOrDigit(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }

// likeness returns part in small letters, digits and "-" alone, so that a person recognises it beside the hash.
func likeness(part string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(part), func(r rune) bool { return !smallOrDigit(r) }), "-")
}

// shortened cuts the ends of the longest parts until all of them, joined, have room bytes.
func shortened(parts []string, room int) []string {
	for {
		size, longest := len(parts)-1, 0
		for i, part := range parts {
			size += len(part)
			if len(part) > len(parts[longest]) {
				longest = i
			}
		}
		switch {
		case size <= room:
			return parts
		case len(parts[longest]) > 2:
			parts[longest] = strings.TrimRight(parts[longest][:len(parts[longest])-1], "-")
		default: // there are too many of them
			parts = parts[:len(parts)-1]
		}
	}
}

const (
	hashLetters = "abcdefghijklmnopqrstuvwxyz234567"
	hashWidth   = 12
)

// hash returns a digit and 11 letters or digits, 58 bits, of exactly these parts.
func hash(parts []string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	sum := h.Sum(nil)
	return string('2'+sum[0]>>5) + base32.NewEncoding(hashLetters).EncodeToString(sum[1:])[:hashWidth-1]
}

// isHash reports whether a part could be taken for a hash. Hardly a word could: it begins with a digit.
func isHash(part string) bool {
	return len(part) == hashWidth && '2' <= part[0] && part[0] <= '9' && strings.Trim(part[1:], hashLetters) == ""
}
