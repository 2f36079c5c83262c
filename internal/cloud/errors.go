package cloud

import (
	"errors"
	"fmt"
)

// What callers branch on, with errors.Is.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict")      // it exists already, or is no longer what the caller saw
	ErrUnsupported = errors.New("not supported") // the provider cannot do this; the hint says what to do instead
	ErrDenied      = errors.New("access denied")
	ErrInvalid     = errors.New("invalid")                          // the argument can be right at no provider
	ErrCorrupt     = errors.New("damaged")                          // what is stored is not what was written
	ErrChanged     = errors.New("it was changed while it was read") // what was to be stored, by somebody here
)

// hinted is an error with a way out.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// WithHint adds a sentence on what to do. The text of the error stays as it is; nil stays nil.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hinted{err: err, hint: hint}
}

// Hint returns the outermost hint of err; without one, a sentence that fits its sentinel; else "".
func Hint(err error) string {
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	switch {
	case errors.Is(err, ErrDenied):
		return "check who you are and what you may do: handoff cloud login test"
	case errors.Is(err, ErrConflict):
		return "someone else was faster: look at what is there now, then try again"
	case errors.Is(err, ErrChanged):
		return "try again when nobody writes to it"
	}
	return ""
}

// temporary marks an error that another try may not meet.
type temporary struct{ err error }

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

// Temporary marks err as worth another try: a lost connection, a throttled call. nil stays nil.
func Temporary(err error) error {
	if err == nil {
		return nil
	}
	return &temporary{err: err}
}

// IsTemporary reports whether err or an error that it wraps was marked by Temporary.
func IsTemporary(err error) bool {
	_, ok := errors.AsType[*temporary](err)
	return ok
}

// Unsupported returns an ErrUnsupported: provider cannot do what, and this is what to do instead.
func Unsupported(provider, what, instead string) error {
	return WithHint(fmt.Errorf("%s: %w by cloud provider %q", what, ErrUnsupported, provider), instead)
}
