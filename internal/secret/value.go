// Package secret holds secret values, reads them from the folder of a project and masks them in text.
// It must not print or log, and no error or warning that it makes may show a value.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is the text that stands for a secret in everything that is shown.
const Mask = "[redacted]"

// Value holds a secret. However it is printed or encoded it shows as Mask; Reveal is the only way to the text.
// The zero Value holds the empty text.
type Value struct {
	// A pointer, since fmt prints what it points to in no case: not even when the Value sits in a field that is not
	// exported, where fmt cannot call Format.
	text *string
}

// NewValue wraps a secret.
func NewValue(s string) Value { return Value{text: &s} }

// Reveal answers the secret itself.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// Equal reports whether both hold the same text.
func (v Value) Equal(o Value) bool { return v.Reveal() == o.Reveal() }

// String implements fmt.Stringer: Mask.
func (v Value) String() string { return Mask }

// Format implements fmt.Formatter: Mask for every verb.
func (v Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Mask) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too: Mask.
func (v Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalYAML answers Mask.
func (v Value) MarshalYAML() (any, error) { return Mask, nil }

// LogValue implements slog.LogValuer: Mask.
func (v Value) LogValue() slog.Value { return slog.StringValue(Mask) }
