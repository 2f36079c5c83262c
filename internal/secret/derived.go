package secret

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const (
	// minDerived is the length in bytes from which a text is masked that a template has made of a secret. It is longer
	// than minLength: "https" or "5432", taken out of the address of a database, stand in every log.
	minDerived = 6
	// maxGap is how far apart short pieces may stand that are one secret: "s,e,c,r,e,t".
	maxGap = 3
	// maxRecent bounds what is remembered of texts that differ from line to line.
	maxRecent = 128
)

// Derived returns what is to be masked of a text in which text[s[0]:s[1]] comes from secrets, for each s of spans, in
// order: each such piece, and short ones that follow each other closely with what is between them.
func Derived(text string, spans [][2]int) []string {
	var out []string
	for i := 0; i < len(spans); {
		n := 1
		for i+n < len(spans) && short(spans[i+n-1]) && short(spans[i+n]) && spans[i+n][0]-spans[i+n-1][1] <= maxGap {
			n++
		}
		out = append(out, text[spans[i][0]:spans[i+n-1][1]])
		i += n
	}
	return out
}

func short(span [2]int) bool { return span[1]-span[0] < minDerived }

// Learn masks texts that were made of secrets from now on, for good.
func (r *Redactor) Learn(texts ...string) { r.learn(texts, false) }

// LearnForNow masks texts that were made of secrets and of a line of data: of these, only the last 128 are remembered.
func (r *Redactor) LearnForNow(texts ...string) { r.learn(texts, true) }

func (r *Redactor) learn(texts []string, forNow bool) {
	if len(texts) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := false
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if len(text) < minDerived || r.known[text] || forNow && slices.Contains(r.recent, text) {
			continue
		}
		fresh = true
		if forNow {
			r.recent = append(r.recent, text)
			continue
		}
		r.known[text] = true
		addForms(r.forms, text, minDerived)
	}
	if !fresh {
		return
	}
	r.recent = slices.Clone(r.recent[max(0, len(r.recent)-maxRecent):])
	r.update(r.lookup().raw)
}

// Unmasked says, for a person to read, which of the secrets cannot be masked, or some of their lines, because they are
// too short.
func Unmasked(entries []Entry) []string {
	var out []string
	for _, e := range entries {
		text := strings.TrimSpace(e.Value.Reveal())
		bare := slices.DeleteFunc(lines(text), func(l string) bool { return len(l) >= minLength || !strings.ContainsFunc(l, isSign) })
		switch {
		case text != "" && len(text) < minLength:
			out = append(out, fmt.Sprintf("secret %q is too short to be masked in logs: it has less than %d characters", e.Key, minLength))
		case len(bare) > 0:
			out = append(out, fmt.Sprintf("secret %q has lines that are too short to be masked in logs: %d of less than %d characters",
				e.Key, len(bare), minLength))
		}
	}
	return out
}

// isSign reports what tells something; a line of brackets tells nothing.
func isSign(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
