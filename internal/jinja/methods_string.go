package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// onStr makes a method of a function on the text.
func onStr(signature string, f func(s *state, t string, a []any) any) *builtin {
	return define(signature, func(s *state, v any, a []any) any {
		t, _ := text(v)
		return f(s, t, a)
	})
}

func is(f func(t string) bool) *builtin {
	return onStr("", func(_ *state, t string, _ []any) any { return f(t) })
}

func caseMethods() map[string]*builtin {
	return map[string]*builtin{
		"upper":      onText(upper),
		"lower":      onText(lower),
		"casefold":   onText(func(t string) string { return strings.ReplaceAll(lower(t), "ß", "ss") }),
		"title":      onText(title),
		"capitalize": onText(capitalize),
		"swapcase":   onText(swapcase),
		"strip":      onStr("chars?", func(s *state, t string, a []any) any { return s.strip(t, a[0], true, true) }),
		"lstrip":     onStr("chars?", func(s *state, t string, a []any) any { return s.strip(t, a[0], true, false) }),
		"rstrip":     onStr("chars?", func(s *state, t string, a []any) any { return s.strip(t, a[0], false, true) }),
		"center": onStr("width fillchar?", func(s *state, t string, a []any) any {
			return s.center(t, s.intArg(a[0], 0), s.fillChar(a[1]))
		}),
		"ljust": onStr("width fillchar?", func(s *state, t string, a []any) any {
			return t + s.repeat(s.fillChar(a[1]), s.intArg(a[0], 0)-int64(runeCount(t)))
		}),
		"rjust": onStr("width fillchar?", func(s *state, t string, a []any) any {
			return s.repeat(s.fillChar(a[1]), s.intArg(a[0], 0)-int64(runeCount(t))) + t
		}),
		"zfill":      onStr("width", zfill),
		"expandtabs": onStr("tabsize?", expandTabs),
	}
}

func isMethods() map[string]*builtin {
	return map[string]*builtin{
		"isalpha": is(func(t string) bool { return all(t, unicode.IsLetter) }),
		"isalnum": is(func(t string) bool {
			return all(t, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
		}),
		"isdigit":      is(func(t string) bool { return all(t, unicode.IsDigit) }),
		"isdecimal":    is(func(t string) bool { return all(t, unicode.IsDigit) }),
		"isnumeric":    is(func(t string) bool { return all(t, unicode.IsNumber) }),
		"isspace":      is(func(t string) bool { return all(t, isSpace) }),
		"islower":      is(isLowerText),
		"isupper":      is(isUpperText),
		"istitle":      is(isTitle),
		"isascii":      is(isASCII),
		"isidentifier": is(isIdentifier),
		"isprintable":  is(func(t string) bool { return t == "" || all(t, unicode.IsPrint) }),
	}
}

func searchMethods() map[string]*builtin {
	return map[string]*builtin{
		"startswith": onStr("prefix start? end?", func(s *state, t string, a []any) any {
			return s.affix(t, a, strings.HasPrefix)
		}),
		"endswith": onStr("suffix start? end?", func(s *state, t string, a []any) any {
			return s.affix(t, a, strings.HasSuffix)
		}),
		"find":   onStr("sub start? end?", func(s *state, t string, a []any) any { return s.search(t, a, strings.Index) }),
		"rfind":  onStr("sub start? end?", func(s *state, t string, a []any) any { return s.search(t, a, strings.LastIndex) }),
		"index":  onStr("sub start? end?", func(s *state, t string, a []any) any { return s.mustFind(t, a, strings.Index) }),
		"rindex": onStr("sub start? end?", func(s *state, t string, a []any) any { return s.mustFind(t, a, strings.LastIndex) }),
		"count": onStr("sub start? end?", func(s *state, t string, a []any) any {
			part, _, ok := s.substring(t, a)
			if !ok {
				return int64(0)
			}
			return int64(strings.Count(part, s.strArg(a[0], "")))
		}),
		"removeprefix": onStr("prefix", func(s *state, t string, a []any) any { return strings.TrimPrefix(t, s.strArg(a[0], "")) }),
		"removesuffix": onStr("suffix", func(s *state, t string, a []any) any { return strings.TrimSuffix(t, s.strArg(a[0], "")) }),
		"replace": onStr("old new count?", func(s *state, t string, a []any) any {
			return s.replace(t, s.strArg(a[0], ""), s.strArg(a[1], ""), s.intArg(a[2], -1))
		}),
		"format": rawArgs(false, func(s *state, v any, a args) any {
			t, _ := text(v)
			return s.strFormat(t, a)
		}),
		"format_map": onStr("mapping", func(s *state, t string, a []any) any {
			d, ok := a[0].(*Dict)
			if !ok {
				s.fail("format_map() argument must be a mapping")
			}
			var kw []kwarg
			for i, k := range d.keys {
				kw = append(kw, kwarg{s.soft(k), d.values[i]})
			}
			return s.strFormat(t, args{kw: kw})
		}),
	}
}

func splitMethods() map[string]*builtin {
	return map[string]*builtin{
		"split":  onStr("sep? maxsplit?", func(s *state, t string, a []any) any { return s.split(t, a, false) }),
		"rsplit": onStr("sep? maxsplit?", func(s *state, t string, a []any) any { return s.split(t, a, true) }),
		"splitlines": onStr("keepends?", func(s *state, t string, a []any) any {
			return s.strList(s.lines(t, s.boolArg(a[0])))
		}),
		"partition": onStr("sep", func(s *state, t string, a []any) any {
			before, after, ok := strings.Cut(t, s.separator(a[0]))
			if !ok {
				return &tuple{items: []any{t, "", ""}}
			}
			return &tuple{items: []any{before, s.strArg(a[0], ""), after}}
		}),
		"rpartition": onStr("sep", func(s *state, t string, a []any) any {
			sep := s.separator(a[0])
			i := strings.LastIndex(t, sep)
			if i < 0 {
				return &tuple{items: []any{"", "", t}}
			}
			return &tuple{items: []any{t[:i], sep, t[i+len(sep):]}}
		}),
		"join": onStr("iterable", func(s *state, t string, a []any) any {
			return s.joinItems(s.iterate(a[0]), t, func(x any) string { return s.strArg(x, "") })
		}),
	}
}

func (s *state) strList(parts []string) any {
	s.step(len(parts))
	items := make([]any, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return &list{items}
}

func (s *state) strip(t string, set any, left, right bool) any {
	in := isSpace
	if given(set) && set != nil {
		cutset := s.strArg(set, "")
		in = func(r rune) bool { return strings.ContainsRune(cutset, r) }
	}
	if left {
		t = strings.TrimLeftFunc(t, in)
	}
	if right {
		t = strings.TrimRightFunc(t, in)
	}
	return t
}

func (s *state) fillChar(v any) string {
	fill := s.strArg(v, " ")
	if runeCount(fill) != 1 {
		s.fail("The fill character must be exactly one character long")
	}
	return fill
}

func (s *state) center(t string, width int64, fill string) string {
	pad := width - int64(runeCount(t))
	if pad <= 0 {
		return t
	}
	left := pad/2 + (pad & width & 1)
	return s.repeat(fill, left) + t + s.repeat(fill, pad-left)
}

func zfill(s *state, t string, a []any) any {
	pad := s.repeat("0", s.intArg(a[0], 0)-int64(runeCount(t)))
	if t != "" && (t[0] == '-' || t[0] == '+') {
		return t[:1] + pad + t[1:]
	}
	return pad + t
}

func expandTabs(s *state, t string, a []any) any {
	size := s.intArg(a[0], 8)
	var b strings.Builder
	column := int64(0)
	for i := 0; i < len(t); {
		_, n := utf8.DecodeRuneInString(t[i:])
		c := t[i : i+n]
		i += n
		switch c {
		case "\t":
			if size > 0 {
				b.WriteString(s.repeat(" ", size-column%size))
				column = 0
				if b.Len() > maxOutput {
					s.alloc(b.Len())
				}
			}
			continue
		case "\n", "\r":
			column = -1
		}
		b.WriteString(c)
		column++
	}
	return b.String()
}

// substring returns t[start:end] and the number of characters before it; not ok if start is beyond the end.
func (s *state) substring(t string, a []any) (sub string, before int64, ok bool) {
	if !given(a[1]) {
		return t, 0, true
	}
	n := int64(runeCount(t))
	bound := func(v any, def int64) int64 {
		if v == nil {
			return def
		}
		return s.intArg(v, def)
	}
	start := bound(a[1], 0)
	if start > n {
		return "", 0, false
	}
	lo, hi := clampIndex(start, n, 1), clampIndex(bound(a[2], n), n, 1)
	if lo > hi {
		return "", 0, false
	}
	return part(t, int(lo), int(hi)), lo, true
}

func (s *state) search(t string, a []any, index func(t, sub string) int) any {
	sub := s.strArg(a[0], "")
	part, before, ok := s.substring(t, a)
	if !ok {
		return int64(-1)
	}
	i := index(part, sub)
	if i < 0 {
		return int64(-1)
	}
	return before + int64(runeCount(part[:i]))
}

func (s *state) mustFind(t string, a []any, index func(t, sub string) int) any {
	i := s.search(t, a, index)
	if i == int64(-1) {
		s.fail("substring not found")
	}
	return i
}

// affix is startswith and endswith: with one text or a tuple of them.
func (s *state) affix(t string, a []any, has func(t, fix string) bool) any {
	part, _, ok := s.substring(t, a)
	if !ok {
		return false
	}
	if options, isTuple := a[0].(*tuple); isTuple {
		return slices.ContainsFunc(options.items, func(x any) bool { return has(part, s.strArg(x, "")) })
	}
	return has(part, s.strArg(a[0], ""))
}

// replace is str.replace; a negative count means all.
func (s *state) replace(t, old, with string, count int64) string {
	n := int64(strings.Count(t, old))
	if count >= 0 {
		n = min(n, count)
	}
	if grow := len(with) - len(old); grow > 0 && n > int64(maxOutput/grow) {
		s.fail("the result is longer than %d MiB", maxOutput>>20)
	}
	return strings.Replace(t, old, with, int(n))
}

func (s *state) separator(v any) string {
	sep := s.strArg(v, "")
	if sep == "" {
		s.fail("empty separator")
	}
	return sep
}

// split is str.split, and str.rsplit with right.
func (s *state) split(t string, a []any, right bool) any {
	limit := s.intArg(a[1], -1)
	if !given(a[0]) || a[0] == nil {
		s.made(countWords(t, limit))
		return s.strList(splitSpace(t, limit, right))
	}
	sep := s.separator(a[0])
	n := strings.Count(t, sep) + 1
	if limit >= 0 {
		n = min(n, int(min(limit, maxItems))+1)
	}
	s.made(n)
	switch {
	case limit < 0 || limit >= int64(len(t)):
		return s.strList(strings.Split(t, sep))
	case !right:
		return s.strList(strings.SplitN(t, sep, int(limit)+1))
	}
	var parts []string
	for ; limit > 0; limit-- {
		i := strings.LastIndex(t, sep)
		if i < 0 {
			break
		}
		parts = append(parts, t[i+len(sep):])
		t = t[:i]
	}
	parts = append(parts, t)
	slices.Reverse(parts)
	return s.strList(parts)
}

// countWords is how many parts splitSpace makes, at most.
func countWords(t string, limit int64) int {
	n, blank := 0, true
	for _, r := range t {
		if isBlank := isSpace(r); isBlank != blank {
			blank = isBlank
			if !blank {
				n++
			}
		}
	}
	if limit >= 0 {
		n = min(n, int(min(limit, maxItems))+1)
	}
	return n
}

// splitSpace splits at runs of white space, at most limit times if that is not negative.
func splitSpace(t string, limit int64, right bool) (parts []string) {
	if limit < 0 {
		return strings.FieldsFunc(t, isSpace)
	}
	for {
		if right {
			t = strings.TrimRightFunc(t, isSpace)
		} else {
			t = strings.TrimLeftFunc(t, isSpace)
		}
		if t == "" {
			break
		}
		if limit == 0 {
			parts = append(parts, t)
			break
		}
		limit--
		var word string
		word, t = cutWord(t, right)
		parts = append(parts, word)
	}
	if right {
		slices.Reverse(parts)
	}
	return parts
}

// cutWord takes the first or last word off; t begins or ends with it.
func cutWord(t string, right bool) (word, rest string) {
	if right {
		i := strings.LastIndexFunc(t, isSpace)
		if i < 0 {
			return t, ""
		}
		_, n := utf8.DecodeRuneInString(t[i:])
		return t[i+n:], t[:i]
	}
	i := strings.IndexFunc(t, isSpace)
	if i < 0 {
		return t, ""
	}
	return t[:i], t[i:]
}
