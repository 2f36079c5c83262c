package pipeline

import (
	"bytes"
	"regexp"
	"sync"
)

// The forms in which a line of stderr says its level: a word in capitals at its begin, or behind a time and the name of a
// logger; a field of logfmt; a key of JSON. Anything else, such as "error: no such file", is not counted.
var (
	wordLevel  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\[(<]?(ERROR|CRITICAL|FATAL)(?:[\])>:|\s]|$)`) })
	timedLevel = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[\[(]?\d[\d:.,TZ+\s/[\]()|-]{6,40}?.{0,120}?[\s[(|:-](TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)(?:[\])|:\s-]|$)`)
	})
	logfmtLevel = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|\s)(?:level|levelname|severity|lvl)="?([A-Za-z]+)`)
	})
	jsonLevel = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`"(?:level|levelname|severity|lvl|log\.level)"\s*:\s*"([A-Za-z]+)"`)
	})
	colours = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;:]*m") })
)

// AtErrorLevel reports whether a line says that it is at ERROR level or above. The first level in it counts: a later one
// is part of its message.
func AtErrorLevel(line []byte) bool {
	if line = bytes.TrimLeft(colourless(line), " \t"); len(line) == 0 {
		return false
	}
	var found [][]byte
	switch c := line[0]; {
	case c == '{':
		found = jsonLevel().FindSubmatch(line)
	case c == 'E' || c == 'C' || c == 'F' || c == '[' || c == '(' || c == '<':
		found = wordLevel().FindSubmatch(line)
	}
	if found == nil && (bytes.Contains(line, []byte("l=")) || bytes.Contains(line, []byte("e=")) || bytes.Contains(line, []byte("y="))) {
		found = logfmtLevel().FindSubmatch(line)
	}
	if found == nil && (line[0] == '[' || line[0] == '(' || '0' <= line[0] && line[0] <= '9') {
		found = timedLevel().FindSubmatch(line)
	}
	if found == nil {
		return false
	}
	switch string(bytes.ToUpper(found[1])) {
	case "ERROR", "CRITICAL", "FATAL":
		return true
	}
	return false
}

// colourless returns a line without the colours that loggers give a level.
func colourless(line []byte) []byte {
	if bytes.IndexByte(line, '\x1b') < 0 {
		return line
	}
	return colours().ReplaceAll(line, nil)
}
