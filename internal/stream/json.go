// Package stream looks at the records that flow through a pipeline: it finds the few fields that matter in the bytes, without
// decoding the rest. It reads no pipe and knows nothing of stages.
package stream

import "encoding/json"

// members calls visit with the key, as it is written between its quotes, and the raw value of each member of the JSON object in
// b, until visit returns false. It returns false where b is no object, or ends before it does. What is inside of a value is
// skipped, not checked.
func members(b []byte, visit func(key, value []byte) bool) bool {
	i := space(b, 0)
	if i == len(b) || b[i] != '{' {
		return false
	}
	if i = space(b, i+1); i < len(b) && b[i] == '}' {
		return space(b, i+1) == len(b)
	}
	for {
		end := skipString(b, i)
		if end < 0 {
			return false
		}
		key := b[i+1 : end-1]
		if i = space(b, end); i == len(b) || b[i] != ':' {
			return false
		}
		i = space(b, i+1)
		if end = skipValue(b, i); end < 0 {
			return false
		}
		if !visit(key, b[i:end]) {
			return true
		}
		if i = space(b, end); i == len(b) {
			return false
		}
		switch b[i] {
		case '}':
			return space(b, i+1) == len(b)
		case ',':
			i = space(b, i+1)
		default:
			return false
		}
	}
}

// space returns the index of the first byte from i on that is no white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i; -1: there is none.
func skipString(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// skipValue returns the index behind the value that begins at i; -1: there is none.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	start := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' { // most are whole numbers
		i++
	}
	for i < len(b) && isScalar(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// isScalar reports whether c may be part of a number or of true, false, null.
func isScalar(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'E'
}

func skipNested(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := skipString(b, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// keyText is how a key is mostly written, with its colon.
func keyText(name string) string {
	text, _ := json.Marshal(name) // a text can always be encoded
	return string(text) + ":"
}

// nameOf returns the name that a key spells.
func nameOf(key []byte) string {
	for _, c := range key {
		if c == '\\' {
			var s string
			if json.Unmarshal(append(append([]byte{'"'}, key...), '"'), &s) == nil {
				return s
			}
			break
		}
	}
	return string(key)
}
