// Package shell puts data into shell scripts so that it stays data. It parses a script with the data left out, finds
// the place of each piece, and quotes the piece for that place or says why that cannot be done.
package shell

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const rawHint = "write {{ ... | raw }} to put the text in as it is, or pass it to the script through an environment variable"

// Piece is a part of a script that is data: script[Start:End], made on a line of the template (from 1).
type Piece struct{ Start, End, Line int }

// Error says why data cannot stand where it does.
type Error struct {
	Line    int // of the template
	Message string
	Hint    string // a way out, where one is known
	Cause   string // what in the script keeps out data that is not a plain word; "": it is something else
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Quoter quotes data in the scripts of one command. It is safe for concurrent use, and remembers how scripts that
// differ in their data only are quoted.
type Quoter struct {
	shell string
	plans planCache
}

// For makes a Quoter for a shell, named by its path or name.
func For(shell string) *Quoter { return &Quoter{shell: shellName(shell)} }

// Script returns the script with its data quoted, each piece for the place in which it stands, so that it is text to
// the shell and never code. The error is an *Error, with a hint where data stands in a place where that cannot be
// done.
func (q *Quoter) Script(script string, data []Piece) (string, error) {
	if len(data) == 0 {
		return script, nil
	}
	if !canQuote(q.shell) {
		return q.asIs(script, data)
	}
	skeleton, starts := makeSkeleton(script, data)
	plan := q.plans.get(q.shell, skeleton, starts)
	if plan.message != "" {
		return "", &Error{Line: data[0].Line, Message: plan.message, Hint: plan.hint}
	}
	return plan.fill(script, data, starts)
}

// Quote writes text as one word for any of the shells that RenderShell knows: as it is when it is plain, else in
// single quotes.
func Quote(text string) string {
	if isWord(text) {
		return text
	}
	return singleQuote(text)
}

// asIs returns the script as it is if its data is plain words only: handoff knows no quoting for other languages.
func (q *Quoter) asIs(script string, data []Piece) (string, error) {
	for _, p := range data {
		if text := script[p.Start:p.End]; !IsPlain(text) {
			return "", &Error{
				Line:    p.Line,
				Message: fmt.Sprintf("the data %s is not a plain word, and handoff cannot quote it for %s", shown(text), q.shell),
				Hint:    "leave shell: out and let the command start it, with the data as an argument: " + q.shell + " file {{ ... }}",
				Cause:   "handoff cannot quote for " + q.shell,
			}
		}
	}
	return script, nil
}

// fill returns the script with its pieces quoted.
func (p *shellPlan) fill(text string, pieces []Piece, starts []int) (string, error) {
	var b strings.Builder
	b.Grow(len(text) + 16*len(pieces))
	last := 0
	spans := make([][2]int, len(pieces))
	for i, piece := range pieces {
		b.WriteString(text[last:piece.Start])
		quoted, err := p.quote(i, text[piece.Start:piece.End], byteAt(text, piece.Start-1), byteAt(text, piece.End))
		if err != nil {
			err.Line = piece.Line
			return "", err
		}
		spans[i][0] = b.Len()
		b.WriteString(quoted)
		spans[i][1] = b.Len()
		last = piece.End
	}
	b.WriteString(text[last:])
	script := b.String()
	if err := p.checkHeredocs(script, starts, spans); err != nil {
		err.Line = pieces[len(pieces)-1].Line
		return "", err
	}
	return script, nil
}

// quote writes data for the place of a piece, if the script lets it in.
func (p *shellPlan) quote(i int, data string, before, after byte) (string, *Error) {
	quoted, err := p.places[i].quote(data, before, after)
	if err == nil && p.unsafe != nil && (p.unsafe.always || !IsPlain(data)) {
		err = p.unsafe.refusal(data)
	}
	return quoted, err
}

// byteAt is a byte of a text, 0 before its beginning and after its end.
func byteAt(text string, i int) byte {
	if i < 0 || i >= len(text) {
		return 0
	}
	return text[i]
}

// makeSkeleton puts a word where each piece stands, which is in no other place of the text, and returns the
// positions of these words. The data itself is not in it, so it can do no harm.
func makeSkeleton(text string, pieces []Piece) (skeleton string, starts []int) {
	literal := make([]string, 0, len(pieces)+1)
	last := 0
	for _, p := range pieces {
		literal = append(literal, text[last:p.Start])
		last = p.End
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
func (p *shellPlan) checkHeredocs(script string, starts []int, spans [][2]int) *Error {
	for _, doc := range p.heredocs {
		// Positions after the pieces move by what the pieces grew.
		move := func(pos int) int {
			i, _ := slices.BinarySearch(starts, pos)
			if i == 0 {
				return pos
			}
			return pos - starts[i-1] - p.wordLen + spans[i-1][1]
		}
		body := script[move(doc.start):move(doc.end)]
		if doc.ends != doc.unfit(body) {
			return &Error{
				Message: fmt.Sprintf("a line of the data would end the here-document %q, or lose a character in dash", doc.delimiter),
				Hint:    "use another word than " + doc.delimiter + " to end the here-document",
			}
		}
	}
	return nil
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
	wordLen       int     // of the placeholder
	unsafe        *unsafe // the first construct that keeps data out, but for plain words; nil: none
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
