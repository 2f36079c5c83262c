package jinja

import (
	"html"
	"slices"
	"strings"
	"unicode"
)

// stripTags removes comments and tags of HTML and joins white space.
func stripTags(t string) string {
	t = cut(t, "<!--", "-->")
	t = cut(t, "<", ">")
	return html.UnescapeString(joinWords(t))
}

// joinWords puts one blank between words.
func joinWords(t string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(t, isSpace) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}

// cut removes everything from open to the next end.
func cut(t, open, end string) string {
	var b strings.Builder
	for {
		i := strings.Index(t, open)
		if i < 0 {
			break
		}
		n := strings.Index(t[i:], end)
		if n < 0 {
			break
		}
		b.WriteString(t[:i])
		t = t[i+n+len(end):]
	}
	b.WriteString(t)
	return b.String()
}

func urlencodeFilter(s *state, v any, _ []any) any {
	if t, ok := text(v); ok {
		return urlQuote(t, "/")
	}
	var items []any
	if d, ok := v.(*Dict); ok {
		items = s.pairs(d)
	} else if list, ok := s.tryIterate(v); ok {
		items = list
	} else {
		return urlQuote(s.soft(v), "/")
	}
	var pairs []string
	for _, pair := range items {
		kv := s.iterate(pair)
		if len(kv) != 2 {
			s.fail("not enough values to unpack (expected 2, got %d)", len(kv))
		}
		s.step(1)
		pairs = append(pairs, queryQuote(s.soft(kv[0]))+"="+queryQuote(s.soft(kv[1])))
	}
	return strings.Join(pairs, "&")
}

func queryQuote(t string) string { return strings.ReplaceAll(urlQuote(t, ""), "%20", "+") }

func urlQuote(t, safe string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(t) {
		if c := t[i]; isAlnum(c) || strings.IndexByte("_.-~"+safe, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func xmlattrFilter(s *state, v any, a []any) any {
	d, ok := v.(*Dict)
	if !ok {
		s.fail("'%s' object has no attribute 'items'", typeName(v))
	}
	var parts []string
	for i, k := range d.keys {
		value := d.values[i]
		if _, missing := value.(*undefined); missing || value == nil {
			continue
		}
		key := s.strArg(k, "")
		if strings.ContainsAny(key, " \t\n\r\f\v/>=") {
			s.fail("Invalid character in attribute name: %s", reprString(key))
		}
		parts = append(parts, escapeHTML(key)+`="`+escapeHTML(s.soft(value))+`"`)
	}
	t := strings.Join(parts, " ")
	if t != "" && (!given(a[0]) || s.truth(a[0])) {
		t = " " + t
	}
	return t
}

func wordwrapFilter(s *state, v any, a []any) any {
	width := s.intArg(a[0], 79)
	breakLong := !given(a[1]) || s.truth(a[1])
	hyphens := !given(a[3]) || s.truth(a[3])
	sep := "\n"
	if given(a[2]) && a[2] != nil {
		sep = s.strArg(a[2], "\n")
	}
	if width <= 0 {
		s.fail("invalid width %d (must be > 0)", width)
	}
	var lines []any
	for _, line := range s.lines(s.strArg(v, ""), false) {
		wrapped := s.wrapLine(line, int(width), breakLong, hyphens)
		if len(wrapped) == 0 {
			wrapped = []string{""}
		}
		for _, w := range wrapped {
			lines = append(lines, w)
		}
	}
	return s.joinItems(lines, sep, s.soft)
}

// wrapLine is Python's textwrap.wrap of one line.
func (s *state) wrapLine(line string, width int, breakLong, hyphens bool) (lines []string) {
	s.made(runeCount(line))
	chunks := wrapChunks(line, hyphens)
	for len(chunks) > 0 {
		if len(lines) > 0 && strings.TrimFunc(chunks[0], isSpace) == "" {
			chunks = chunks[1:]
			continue
		}
		var current []string
		size := 0
		for len(chunks) > 0 && size+runeCount(chunks[0]) <= width {
			current, size = append(current, chunks[0]), size+runeCount(chunks[0])
			chunks = chunks[1:]
		}
		if len(chunks) > 0 && runeCount(chunks[0]) > width {
			s.step(len(chunks) + len(chunks[0])) // which are copied
			current, chunks = breakChunk(current, chunks, width-size, breakLong)
		}
		if n := len(current); n > 0 && strings.TrimFunc(current[n-1], isSpace) == "" {
			current = current[:n-1]
		}
		if len(current) > 0 {
			lines = append(lines, strings.Join(current, ""))
		}
	}
	return lines
}

// breakChunk puts a chunk that is longer than a line, or a part of it, on the current line.
func breakChunk(current, chunks []string, room int, breakLong bool) (line, rest []string) {
	switch {
	case breakLong && room > 0:
		c := chars(chunks[0])
		rest = slices.Clone(chunks)
		rest[0] = strings.Join(c[room:], "")
		return append(current, strings.Join(c[:room], "")), rest
	case !breakLong && len(current) == 0:
		return chunks[:1], chunks[1:]
	}
	return current, chunks
}

// wrapChunks splits a line where it may break: around white space and after hyphens within words.
func wrapChunks(line string, hyphens bool) (chunks []string) {
	start, space := 0, false
	runes := chars(line)
	add := func(end int) {
		if end > start {
			chunks = append(chunks, strings.Join(runes[start:end], ""))
			start = end
		}
	}
	for i, c := range runes {
		isBlank := strings.Contains("\t\n\v\f\r ", c)
		if isBlank != space {
			add(i)
			space = isBlank
		}
		if hyphens && c == "-" && breaksAfter(runes, start, i) {
			add(i + 1)
		}
	}
	add(len(runes))
	return chunks
}

// breaksAfter reports whether a line may break after the hyphen at i: a word that ends in a letter before it,
// two word characters after it.
func breaksAfter(runes []string, start, i int) bool {
	at := func(i int) rune {
		if i < start || i >= len(runes) {
			return ' '
		}
		return []rune(runes[i])[0]
	}
	return i-start >= 2 && unicode.IsLetter(at(i-1)) && isWord(at(i-2)) && isWord(at(i+1)) && unicode.IsLetter(at(i+2))
}
