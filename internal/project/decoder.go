package project

import (
	"fmt"
	"math"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	maxDiagnostics = 100 // of a kind; more help nobody
	maxNumber      = 1e9 // of any number; about 31 years of seconds
	templateHint   = "a template needs quotes around it"
)

// decoder reads nodes into values and collects what is wrong with them.
type decoder struct {
	src      *source
	strict   bool
	errors   Errors
	warnings []Diagnostic

	moreErrors, moreWarnings int // that were not kept

	private []int  // lines that no message shows
	leaves  []leaf // tasks that write artifacts, so far
	loops   int    // how many foreach surround what is read now
	branch  bool   // what is read now is the task list of a fork
}

// wantsStrict looks ahead at the version.
func (d *decoder) wantsStrict(root *yaml.Node) bool {
	m, ok := (&decoder{src: d.src}).mapping(value{node: root}, "")
	if !ok {
		return false
	}
	e, there := m.get("version")
	return there && e.what.node.Kind == yaml.ScalarNode && knownVersion(e.what.node.Value) == "1"
}

// pos returns where a node stands.
func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.src.file, n.Line, n.Column} }

func (d *decoder) diagnostic(v value, message, hint string) Diagnostic {
	out := d.src.at(v.node.Line, v.node.Column, message, hint)
	out.Path = v.path
	return out
}

// fail reports an error.
func (d *decoder) fail(v value, message, hint string) {
	if len(d.errors) == maxDiagnostics {
		d.moreErrors++
		return
	}
	d.errors = append(d.errors, d.diagnostic(v, message, hint))
}

// warn reports what runs all the same.
func (d *decoder) warn(v value, message, hint string) {
	if len(d.warnings) == maxDiagnostics {
		d.moreWarnings++
		return
	}
	d.warnings = append(d.warnings, d.diagnostic(v, message, hint))
}

// legacy reports what 0.4.x let pass: a warning for its projects, an error from version 1 on.
func (d *decoder) legacy(v value, message, hint string) {
	if d.strict {
		d.fail(v, message, hint)
		return
	}
	d.warn(v, message, hint)
}

// failIf reports an error if live is set, else what 0.4.x let pass: it never looked at what is not active.
func (d *decoder) failIf(live bool, v value, message, hint string) {
	if live {
		d.fail(v, message, hint)
		return
	}
	d.legacy(v, message, hint)
}

// object fills a Go value from a map, key by key as the shape says.
func (d *decoder) object(v value, of *shape, into any) {
	if of.prepare != nil {
		of.prepare(d, into, v)
	}
	m, ok := d.mapping(v, of.what)
	if !ok {
		return
	}
	for _, e := range m.entries {
		k := of.find(e.key)
		if k == nil {
			d.unknown(of, into, e)
			continue
		}
		k.field.set(d, into, e.what)
	}
	for i := range of.keys {
		d.presence(m, &of.keys[i])
	}
	m.oneOf = of.oneOf
	if of.check != nil {
		of.check(d, into, m)
	}
}

// presence reports a key that is missing or blank where it must not be.
func (d *decoder) presence(m *mapping, k *key) {
	e, _ := m.get(k.name)
	switch {
	case k.required && !m.has(k.name):
		d.fail(m.place(k.name), fmt.Sprintf("%q is missing", k.name), "")
	case k.wanted && !m.has(k.name):
		d.legacy(m.place(k.name), fmt.Sprintf("%q is missing", k.name), "")
	case k.filled && e.isBlank():
		d.fail(m.place(k.name), fmt.Sprintf("%q is empty", k.name), "")
	}
}

// unknown reports a key that a map does not have, unless the shape takes it.
func (d *decoder) unknown(of *shape, into any, e entry) {
	if of.extra != nil && of.extra(d, into, e) {
		return
	}
	hint := of.elsewhere[e.key]
	if hint == "" && d.moreErrors+d.moreWarnings == 0 {
		if s := Suggest(e.key, of.names()); s != "" {
			hint = fmt.Sprintf("did you mean %q?", s)
		}
	}
	d.legacy(e.at, "unknown key "+quote(e.key), hint)
}

// items returns the elements of a list; null is an empty one, and empty elements are reported and left out.
func (d *decoder) items(v value, what string) []value {
	switch {
	case isNull(v.node):
		return nil
	case v.node.Kind != yaml.SequenceNode || !d.tagged(v, "!!seq"):
		d.mismatch(v, "a list of "+what)
		return nil
	}
	out := make([]value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		item := v.item(i, n)
		if isNull(item.node) {
			d.legacy(item, "an empty element", "remove the lone \"-\"")
			continue
		}
		out = append(out, item)
	}
	return out
}

// objects reads a list of maps.
func objects[V any](d *decoder, v value, of *shape) []V {
	items := d.items(v, of.plural)
	if len(items) == 0 {
		return nil
	}
	out := make([]V, len(items))
	for i, item := range items {
		d.object(item, of, &out[i])
	}
	return out
}

// scalar returns the typed value of a scalar: nil, bool, int64, float64 or string.
func (d *decoder) scalar(v value, what string) (any, bool) {
	if v.node.Kind != yaml.ScalarNode {
		d.mismatch(v, what)
		return nil, false
	}
	if strings.ContainsRune(v.node.Value, 0) {
		d.fail(v, "a text with a NUL byte cannot be passed on", "")
		return nil, false
	}
	if v.node.Style&yaml.TaggedStyle != 0 {
		return d.taggedScalar(v)
	}
	if plain(v.node) {
		return resolve(v.node.Value), true
	}
	return v.node.Value, true
}

func (d *decoder) taggedScalar(v value) (any, bool) {
	got := resolve(v.node.Value)
	var ok bool
	switch v.node.Tag {
	case "!!str", "!!timestamp":
		return v.node.Value, true
	case "!!null":
		return nil, true
	case "!!bool":
		_, ok = got.(bool)
	case "!!int":
		_, ok = got.(int64)
	case "!!float":
		if n, whole := got.(int64); whole {
			got = float64(n)
		}
		_, ok = got.(float64)
	default:
		d.fail(v, fmt.Sprintf("the tag %s is not understood", v.node.Tag), "")
		return nil, false
	}
	if !ok {
		d.fail(v, fmt.Sprintf("%s is not what the tag %s says", quote(v.node.Value), v.node.Tag), "")
	}
	return got, ok
}

// tagged refuses a list or map that carries a tag of another type.
func (d *decoder) tagged(v value, tag string) bool {
	return v.node.Style&yaml.TaggedStyle == 0 || v.node.Tag == tag
}

// text returns a scalar as it was typed; null is reported as absent by false.
func (d *decoder) text(v value) (string, bool) {
	got, ok := d.scalar(v, "a text")
	if !ok || got == nil {
		return "", false
	}
	return v.node.Value, true
}

// oneOf returns a text that is one of a few words.
func (d *decoder) oneOf(v value, words []string) (string, bool) {
	got, ok := d.text(v)
	if !ok {
		return "", false
	}
	for _, w := range words {
		if got == w {
			return got, true
		}
	}
	message, hint := notOneOf(got, words)
	d.fail(v, message, hint)
	return "", false
}

func notOneOf(got string, words []string) (message, hint string) {
	if s := Suggest(got, words); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	}
	return fmt.Sprintf("%s is not one of %s", quote(got), quoted(words)), hint
}

// boolean returns true or false. Null is false, as 0.4.x reads it.
func (d *decoder) boolean(v value) (got, ok bool) {
	any, ok := d.scalar(v, "true or false")
	if !ok {
		return false, false
	}
	switch b := any.(type) {
	case bool:
		return b, true
	case nil:
		d.legacy(v, "empty: read as false", "write true or false")
		return false, true
	}
	d.mismatch(v, "true or false")
	return false, false
}

// number returns a number of at least low; a quoted number is one too, null is absent.
func (d *decoder) number(v value, low float64, what string) (float64, bool) {
	got, ok := d.scalar(v, what)
	if !ok || got == nil {
		return 0, false
	}
	if s, isText := got.(string); isText && s != "" {
		got = resolve(s)
	}
	var n float64
	switch x := got.(type) {
	case int64:
		n = float64(x)
	case float64:
		n = x
	default:
		d.mismatch(v, what)
		return 0, false
	}
	switch {
	case math.IsNaN(n) || n > maxNumber:
		d.fail(v, fmt.Sprintf("%s is too large", quote(v.node.Value)), "")
		return 0, false
	case n < low:
		d.fail(v, fmt.Sprintf("%s is too small", quote(v.node.Value)), fmt.Sprintf("at least %v", low))
		return 0, false
	}
	return n, true
}

// integer returns a whole number of at least low.
func (d *decoder) integer(v value, low float64) (int, bool) {
	n, ok := d.number(v, low, "a whole number")
	if ok && n != math.Trunc(n) {
		d.mismatch(v, "a whole number")
		return 0, false
	}
	return int(n), ok
}

// anything returns a value of whatever shape: nil, bool, int64, float64, string, []any or map[string]any.
func (d *decoder) anything(v value) (any, bool) {
	switch v.node.Kind {
	case yaml.SequenceNode:
		out := make([]any, 0, len(v.node.Content))
		for i, n := range v.node.Content {
			item, _ := d.anything(v.item(i, n))
			out = append(out, item)
		}
		return out, true
	case yaml.MappingNode:
		m, ok := d.mapping(v, "a map")
		if !ok {
			return nil, false
		}
		out := make(map[string]any, len(m.entries))
		for _, e := range m.entries {
			out[e.key], _ = d.anything(e.what)
		}
		return out, true
	}
	return d.scalar(v, "a value")
}

// mismatch says what was wanted and what was found.
func (d *decoder) mismatch(v value, want string) {
	hint := ""
	if isBareTemplate(v.node) {
		hint = templateHint
	}
	d.fail(v, fmt.Sprintf("%s is needed here, not %s", want, kindOf(v.node)), hint)
}

// isBareTemplate recognises {{ x }} without quotes, which YAML takes for a map in a map.
func isBareTemplate(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 &&
		len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode
}

func kindOf(n *yaml.Node) string {
	if n.Style&yaml.TaggedStyle != 0 {
		return "a value with the tag " + n.Tag
	}
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a map"
	}
	return quote(n.Value)
}

// quote shows a text of the file, cut where it is long.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return fmt.Sprintf("%q...", string(r[:most]))
	}
	return fmt.Sprintf("%q", s)
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(out, ", ")
}
