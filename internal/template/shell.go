package template

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const rawHint = "write {{ ... | raw }} to put the text in as it is, or pass it to the script through an environment variable"

// RenderShell renders a script for a shell. Every piece of Data is quoted for the place in which it stands, so that
// it is text to the shell and never code. The error is an *Error, with a hint where Data stands in a place where
// that cannot be done.
func (t *Template) RenderShell(v Vars, shell string) (script string, missing []Undefined, err error) {
	s := newState(t, v)
	defer catch(t.name, &s.line, &err)
	s.out.track = true
	s.exec(t.body)
	if len(s.out.pieces) == 0 {
		return string(s.out.buf), s.missing, nil
	}
	return s.quotePieces(shell), s.missing, nil
}

// Quote writes text as one word for any of the shells that RenderShell knows: as it is when it is plain, else in
// single quotes.
func Quote(text string) string {
	if isPlain(text) {
		return text
	}
	return singleQuote(text)
}

// quotePieces answers the output with its pieces quoted.
func (s *state) quotePieces(shell string) string {
	text, pieces := string(s.out.buf), s.out.pieces
	name := shellName(shell)
	if len(shellVariants(name)) == 0 {
		s.line = pieces[0].line
		s.failHint(rawHint, "handoff cannot quote data for the shell %q", name)
	}
	skeleton, starts := makeSkeleton(text, pieces)
	plan := s.t.plans.get(name, skeleton, starts)
	if plan.message != "" {
		s.line = pieces[0].line
		s.failHint(plan.hint, "%s", plan.message)
	}
	var b strings.Builder
	b.Grow(len(text) + 16*len(pieces))
	last := 0
	spans := make([][2]int, len(pieces))
	for i, p := range pieces {
		s.line = p.line
		b.WriteString(text[last:p.start])
		spans[i][0] = b.Len()
		b.WriteString(s.quotePiece(plan.places[i], text[p.start:p.end]))
		spans[i][1] = b.Len()
		last = p.end
	}
	b.WriteString(text[last:])
	script := b.String()
	s.checkHeredocs(plan, script, starts, spans)
	return script
}

// makeSkeleton puts a word where each piece stands, which is in no other place of the text, and answers the
// positions of these words. The data itself is not in it, so it can do no harm.
func makeSkeleton(text string, pieces []piece) (skeleton string, starts []int) {
	literal := make([]string, 0, len(pieces)+1)
	last := 0
	for _, p := range pieces {
		literal = append(literal, text[last:p.start])
		last = p.end
	}
	literal = append(literal, text[last:])
	word := placeholder
	for slices.ContainsFunc(literal, func(part string) bool { return strings.Contains(part, word) }) {
		word += "Q"
	}
	var b strings.Builder
	b.Grow(len(text) + len(word)*len(pieces))
	starts = make([]int, len(pieces))
	for i, part := range literal {
		b.WriteString(part)
		if i < len(pieces) {
			starts[i] = b.Len()
			b.WriteString(word)
		}
	}
	return b.String(), starts
}

const placeholder = "QdataQ"

// checkHeredocs fails if data would end a here-document.
func (s *state) checkHeredocs(plan *shellPlan, script string, starts []int, spans [][2]int) {
	for _, doc := range plan.heredocs {
		// Positions after the pieces move by what the pieces grew.
		move := func(pos int) int {
			i, _ := slices.BinarySearch(starts, pos)
			if i == 0 {
				return pos
			}
			return pos - starts[i-1] - plan.wordLen + spans[i-1][1]
		}
		body := script[move(doc.start):move(doc.end)]
		if doc.ends != doc.unfit(body) {
			s.failHint("use another word than "+doc.delimiter+" to end the here-document",
				"a line of the data would end the here-document %q, or lose a character in dash", doc.delimiter)
		}
	}
}

// unfit counts the lines of a body that end the here-document or that dash damages: it loses a byte beyond ASCII
// after the beginning of the delimiter.
func (d *heredoc) unfit(body string) (n int) {
	for line := range strings.SplitSeq(body, "\n") {
		if d.tabs {
			line = strings.TrimLeft(line, "\t")
		}
		same := 0
		for same < min(len(line), len(d.delimiter)) && line[same] == d.delimiter[same] {
			same++
		}
		if line == d.delimiter || same > 0 && same < len(line) && line[same] >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

// shellPlan says how the pieces of a script are to be quoted.
type shellPlan struct {
	message, hint string // the script cannot be used with data
	places        []place
	heredocs      []heredoc
	wordLen       int // of the placeholder
}

// heredoc is the body of a here-document with data in it, as positions in the skeleton.
type heredoc struct {
	start, end int
	delimiter  string
	tabs       bool // <<-
	ends       int  // unfit lines without the data: the parser counts the delimiter in at the end of a file
}

// planCache keeps the plans of the scripts that a template makes, most often one.
type planCache struct {
	mu    sync.Mutex
	plans map[[2]string]*shellPlan
}

// maxPlans bounds a cache; a template whose script itself changes from line to line starts over.
const maxPlans = 64

func (c *planCache) get(shell, skeleton string, starts []int) *shellPlan {
	key := [2]string{shell, skeleton}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.plans[key]; p != nil {
		return p
	}
	if c.plans == nil || len(c.plans) >= maxPlans {
		c.plans = map[[2]string]*shellPlan{}
	}
	p := newShellPlan(shell, skeleton, starts)
	c.plans[key] = p
	return p
}
