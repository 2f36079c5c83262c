package jinja

import (
	"math"
	"math/big"
	"strconv"
)

// Dict is a mapping that keeps the order in which its keys were set, as Python's dict does.
// The zero value is an empty Dict. Keys are strings to callers; a template can use other values as well.
type Dict struct {
	keys   []any
	values []any
	index  map[any]int
}

// Set sets the value of a key: at its old place if there is one, else at the end.
func (d *Dict) Set(key string, value any) { d.set(key, key, value) }

// Get returns the value of a key.
func (d *Dict) Get(key string) (any, bool) { return d.get(key) }

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

func (d *Dict) set(hash, key, value any) {
	if i, ok := d.index[hash]; ok {
		d.values[i] = value
		return
	}
	if d.index == nil {
		d.index = map[any]int{}
	}
	d.index[hash] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
}

func (d *Dict) get(hash any) (any, bool) {
	i, ok := d.index[hash]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// remove takes a key out and returns its value.
func (d *Dict) remove(hash any) (any, bool) {
	at, ok := d.index[hash]
	if !ok {
		return nil, false
	}
	v := d.values[at]
	d.keys = append(d.keys[:at:at], d.keys[at+1:]...)
	d.values = append(d.values[:at:at], d.values[at+1:]...)
	delete(d.index, hash)
	for h, i := range d.index {
		if i > at {
			d.index[h] = i - 1
		}
	}
	return v, true
}

func (d *Dict) clone() *Dict {
	c := &Dict{index: make(map[any]int, len(d.keys))}
	c.keys = append(c.keys, d.keys...)
	c.values = append(c.values, d.values...)
	for h, i := range d.index {
		c.index[h] = i
	}
	return c
}

// hash returns what stands for a value as a key: 1, 1.0 and True are one key, as in Python.
func (s *state) hash(v any) any {
	switch v := v.(type) {
	case nil:
		return nilKey{}
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v)
		}
		return v
	case int64, string:
		return v
	case marked:
		return v.text
	case *big.Int:
		return bigKey(v.String())
	case *tuple:
		return s.hashTuple(v)
	case *list, *Dict, *view, function:
		s.fail("unhashable type: '%s'", typeName(v))
	}
	return v
}

type (
	nilKey   struct{}
	bigKey   string
	tupleKey string
)

func (s *state) hashTuple(t *tuple) any {
	s.enter()
	defer s.leave()
	key := ""
	for _, item := range t.items {
		s.step(1)
		switch h := s.hash(item).(type) {
		case string:
			key += "s" + strconv.Quote(h)
		case tupleKey:
			key += "t" + strconv.Quote(string(h))
		case int64:
			key += "i" + strconv.FormatInt(h, 10) + ","
		case float64:
			key += "f" + strconv.FormatFloat(h, 'g', -1, 64) + ","
		case bigKey:
			key += "b" + string(h) + ","
		case nilKey:
			key += "n"
		default:
			s.fail("unhashable type: '%s'", typeName(item))
		}
		s.alloc(len(key))
	}
	return tupleKey(key)
}
