package jinja

import (
	"math/rand/v2"
	"strings"
)

func textFilters() map[string]*builtin {
	m := map[string]*builtin{
		"upper":       onText(upper),
		"lower":       onText(lower),
		"capitalize":  onText(capitalize),
		"title":       onText(titleFilter),
		"striptags":   onText(stripTags),
		"escape":      define("", escapeFilter),
		"forceescape": define("", func(s *state, v any, _ []any) any { return safeText(escapeHTML(s.soft(v))) }),
		"safe":        define("", func(s *state, v any, _ []any) any { return safeText(s.soft(v)) }),
		"string":      define("", stringFilter),
		"raw":         passing("", func(s *state, v any, _ []any) any { return s.raw(v) }),
		"trim":        define("chars?", trimFilter),
		"center":      define("width?", centerFilter),
		"replace":     define("old new count?", replaceFilter),
		"format":      rawArgs(false, formatFilter),
		"indent":      define("width? first? blank?", indentFilter),
		"truncate":    define("length? killwords? end? leeway?", truncateFilter),
		"wordwrap":    define("width? break_long_words? wrapstring? break_on_hyphens?", wordwrapFilter),
		"wordcount":   define("", func(s *state, v any, _ []any) any { return int64(wordCount(s.soft(v))) }),
		"urlencode":   define("", urlencodeFilter),
		"xmlattr":     define("autospace?", xmlattrFilter),
		"tojson":      define("indent?", tojsonFilter),
		"pprint":      define("", pprintFilter),
		"default":     passing("default_value? boolean?", defaultFilter),
		"attr":        passing("name", attrFilter),
	}
	m["e"] = m["escape"]
	m["d"] = m["default"]
	return m
}

// onText makes a filter of a function on text.
func onText(f func(string) string) *builtin {
	return define("", func(s *state, v any, _ []any) any { return f(s.soft(v)) })
}

func escapeFilter(s *state, v any, _ []any) any {
	if isSafe(v) {
		return v
	}
	return safeText(escapeHTML(s.soft(v)))
}

func stringFilter(s *state, v any, _ []any) any {
	if _, ok := text(v); ok {
		return v
	}
	return s.soft(v)
}

func defaultFilter(s *state, v any, a []any) any {
	_, missing := v.(*undefined)
	if !missing && !(s.boolArg(a[1]) && !s.truth(v)) {
		return v
	}
	if !given(a[0]) {
		return ""
	}
	return a[0]
}

func attrFilter(s *state, v any, a []any) any {
	if u, ok := v.(*undefined); ok {
		s.fail("%s", u.message)
	}
	name := s.strArg(a[0], "")
	if x, ok := s.attribute(v, name); ok {
		return x
	}
	name = s.keyName(a[0])
	return &undefined{name, "'" + objectName(v) + "' has no attribute '" + name + "'"}
}

func trimFilter(s *state, v any, a []any) any { return s.strip(s.soft(v), a[0], true, true) }

func centerFilter(s *state, v any, a []any) any {
	return s.center(s.soft(v), s.intArg(a[0], 80), " ")
}

func replaceFilter(s *state, v any, a []any) any {
	count := int64(-1)
	if given(a[2]) && a[2] != nil {
		count = s.intArg(a[2], -1)
	}
	return s.replace(s.soft(v), s.soft(a[0]), s.soft(a[1]), count)
}

func formatFilter(s *state, v any, a args) any {
	if len(a.kw) == 0 {
		return s.percentFormat(s.soft(v), &tuple{items: a.pos})
	}
	if len(a.pos) > 0 {
		s.fail("can't handle positional and keyword arguments at the same time")
	}
	return s.percentFormat(s.soft(v), newDict(s, a))
}

// titleFilter is the filter title: unlike the method, only spaces, hyphens and brackets begin a word.
func titleFilter(t string) string {
	start := true
	return mapChars(t, func(r rune) string {
		wasStart := start
		start = isSpace(r) || strings.ContainsRune("-({[<", r)
		if wasStart {
			return upperRune(r)
		}
		return lowerRune(r)
	})
}

func indentFilter(s *state, v any, a []any) any {
	indent, isText := text(a[0])
	if !isText {
		indent = s.repeat(" ", s.intArg(a[0], 4))
	}
	t, ok := text(v)
	if !ok {
		s.operandError("+", v, "\n")
	}
	lines := s.lines(t+"\n", false)
	s.alloc(len(t) + len(lines)*len(indent))
	blank := s.boolArg(a[2])
	for i := range lines {
		if i > 0 && (blank || lines[i] != "") {
			lines[i] = indent + lines[i]
		}
	}
	t = strings.Join(lines, "\n")
	if s.boolArg(a[1]) {
		t = indent + t
	}
	return t
}

func truncateFilter(s *state, v any, a []any) any {
	size, end, leeway := s.intArg(a[0], 255), s.strArg(a[2], "..."), int64(5)
	if a[3] != nil {
		leeway = s.intArg(a[3], 5)
	}
	keep := size - int64(runeCount(end))
	if keep < 0 {
		s.fail("expected length >= %d, got %d", runeCount(end), size)
	}
	t := s.strArg(v, "")
	if int64(runeCount(t)) <= size+leeway {
		return v
	}
	t = part(t, 0, int(keep))
	if i := strings.LastIndex(t, " "); i >= 0 && !s.boolArg(a[1]) {
		t = t[:i]
	}
	return t + end
}

func wordCount(t string) int {
	n, inWord := 0, false
	for _, r := range t {
		if isWord(r) && !inWord {
			n++
		}
		inWord = isWord(r)
	}
	return n
}

func randomItem(s *state, v any, _ []any) any {
	items := s.iterate(v)
	if len(items) == 0 {
		return &undefined{"random item of an empty sequence", "No random item, sequence was empty."}
	}
	return items[rand.IntN(len(items))]
}
