package stream

import "bytes"

// lines cuts bytes into lines. The zero value is ready.
type lines struct {
	rest []byte // the begin of a line whose end is to come
	cut  bool   // it is longer than what is kept of it
}

// each calls do with each line that ends in b, without its end, and keeps at most limit bytes of the one that begins. It ends with
// the first error.
func (l *lines) each(b []byte, limit int, do func(line []byte) error) (err error) {
	for len(b) > 0 && err == nil {
		b, err = l.one(b, limit, do)
	}
	return err
}

// one is each for the first line; it returns what is behind it.
func (l *lines) one(b []byte, limit int, do func(line []byte) error) (rest []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		l.keep(b, limit)
		return nil, nil
	}
	line := b[:i]
	if len(l.rest) > 0 {
		l.keep(line, limit)
		line = l.rest
	}
	err = do(line)
	l.rest, l.cut = l.rest[:0], false
	return b[i+1:], err
}

func (l *lines) keep(b []byte, limit int) {
	room := max(limit-len(l.rest), 0)
	l.cut = l.cut || len(b) > room
	l.rest = append(l.rest, b[:min(len(b), room)]...)
}
