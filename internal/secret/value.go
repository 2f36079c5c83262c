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
	// A closure, since nothing that prints by reflection can look into one: fmt on a field that is not exported, where it
	// cannot call Format, and the diff of a failing test.
	reveal func() string
}

// NewValue wraps a secret.
func NewValue(s string) Value { return Value{reveal: func() string { return s }} }

// Reveal returns the secret itself.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// Equal reports whether both hold the same text.
func (v Value) Equal(o Value) bool { return v.Reveal() == o.Reveal() }

// String implements fmt.Stringer: Mask.
func (v Value) String() string { return Mask }

// Format implements fmt.Formatter: Mask for every verb.
func (v Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Mask) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too: Mask.
func (v Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalYAML returns Mask.
func (v Value) MarshalYAML() (any, error) { return Mask, nil }

// LogValue implements slog.LogValuer: Mask.
func (v Value) LogValue() slog.Value { return slog.StringValue(Mask) }
