package jinja

import (
	"maps"
	"sync"
)

// library holds what templates can name: filters, tests, and the methods of values.
type library struct {
	filters map[string]*builtin
	tests   map[string]testFunc
	text    map[string]*builtin
	list    map[string]*builtin
	tuple   map[string]*builtin
	dict    map[string]*builtin
	number  map[string]*builtin
}

// standard is built on first use, to keep the start of the program short. Only Parse asks for it: the functions
// in it find it through their state, so that they can name each other.
var standard = sync.OnceValue(func() *library {
	return &library{
		filters: named(merged(textFilters(), numberFilters(), sequenceFilters(), selectFilters())),
		tests:   merged(typeTests(), valueTests()),
		text:    named(merged(caseMethods(), isMethods(), searchMethods(), splitMethods())),
		list:    named(listMethods()),
		tuple:   named(tupleMethods()),
		dict:    named(dictMethods()),
		number:  named(numberMethods()),
	}
})

func merged[V any](all ...map[string]V) map[string]V {
	for _, m := range all[1:] {
		maps.Copy(all[0], m)
	}
	return all[0]
}

// methods returns the methods of a value's type: Python's, and nothing of Go.
func (l *library) methods(v any) map[string]*builtin {
	if _, ok := text(v); ok {
		return l.text
	}
	switch v.(type) {
	case *list:
		return l.list
	case *tuple:
		return l.tuple
	case *Dict:
		return l.dict
	}
	if isNumber(v) {
		return l.number
	}
	return nil
}
