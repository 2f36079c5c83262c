package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
)

// minFragment is the length in bytes from which a line of a base64 text is masked on its own.
const minFragment = 8

// addForms adds every form to the set in which a secret may turn up in a log. It, and each of its lines, has least
// bytes or more.
func addForms(set map[string]bool, secret string, least int) {
	text := strings.TrimSpace(secret)
	if len(text) < least {
		return
	}
	addText(set, text)
	addBinary(set, text)
	// The final newline of a secret from a file changes the end of its base64.
	if secret != text {
		addBinary(set, secret)
	}
	for _, line := range lines(text) {
		if len(line) >= least {
			addText(set, line)
		}
	}
}

// lines returns the lines of a text that has several, also where they are written as \n, each trimmed.
func lines(text string) []string {
	all := strings.FieldsFunc(strings.ReplaceAll(text, `\n`, "\n"), func(c rune) bool { return c == '\n' || c == '\r' })
	if len(all) == 1 && all[0] == text {
		return nil
	}
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// addText adds the forms that keep most characters: as typed, escaped for URL, JSON and shell.
func addText(set map[string]bool, s string) {
	set[s] = true
	for _, f := range urlForms(s) {
		set[f] = true
		set[lowerPercent(f)] = true
	}
	for _, f := range jsonForms(s) {
		set[f] = true
		set[strings.ReplaceAll(f, "/", `\/`)] = true
	}
	for _, f := range shellForms(s) {
		set[f] = true
	}
}

// addBinary adds hex and base64.
func addBinary(set map[string]bool, s string) {
	h := hex.EncodeToString([]byte(s))
	set[h] = true
	set[strings.ToUpper(h)] = true
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		set[enc.EncodeToString([]byte(s))] = true
		set[enc.WithPadding(base64.NoPadding).EncodeToString([]byte(s))] = true
		for shift := range 3 {
			set[inner(enc, s, shift)] = true
		}
		for _, width := range []int{76, 64} {
			addWrapped(set, enc.EncodeToString([]byte(s)), width)
		}
	}
}

// inner returns the characters of a longer base64 text that depend on nothing but s, when s starts shift bytes after
// a multiple of three.
func inner(enc *base64.Encoding, s string, shift int) string {
	all := enc.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", shift) + s))
	from := (shift*8 + 5) / 6
	to := (shift + len(s)) * 8 / 6
	return all[from:to]
}

// addWrapped adds the lines of a base64 text that is broken at width characters, as base64(1) and PEM do.
func addWrapped(set map[string]bool, s string, width int) {
	if len(s) <= width {
		return
	}
	for ; len(s) > 0; s = s[min(width, len(s)):] {
		if line := s[:min(width, len(s))]; len(line) >= minFragment {
			set[line] = true
		}
	}
}

func urlForms(s string) []string {
	query := url.QueryEscape(s)
	blank := strings.ReplaceAll(query, "+", "%20")
	return []string{
		query, blank, url.PathEscape(s), url.User(s).String(),
		strings.ReplaceAll(blank, "%2F", "/"),
		strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(blank),
	}
}

// lowerPercent returns s with %2F as %2f.
func lowerPercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(s[i+1:i+3]))
		}
	}
	return string(b)
}

// jsonForms returns the inside of s as a JSON string: with and without <>& escaped, and in ASCII only.
func jsonForms(s string) []string {
	html, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	escaped := string(html[1 : len(html)-1])
	plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\u2028`, "\u2028", `\u2029`, "\u2029").Replace(escaped)
	return []string{escaped, plain, ascii(plain)}
}

// ascii escapes everything beyond ASCII as \uXXXX.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

// shellForms returns s as it stands inside '...', "...", $'...' and after backslashes.
func shellForms(s string) []string {
	return []string{
		strings.ReplaceAll(s, "'", `'\''`),
		strings.ReplaceAll(s, "'", `'"'"'`),
		backslash(s, "$`\"\\"),
		backslash(s, "$`\"\\!"),
		backslash(s, "'\\"),
		strings.NewReplacer("'", `\'`, `\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s),
		backslash(s, " \t!\"#$&'()*;<>?[\\]^`{|}~"),
		backslash(s, " \t!\"#$&'()*,;<>?[\\]^`{|}"),
	}
}

// backslash puts a backslash before each character of set.
func backslash(s, set string) string {
	if !strings.ContainsAny(s, set) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
