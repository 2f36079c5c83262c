package jinja

import (
	"math/big"
	"strings"
)

// Limits that turn a runaway template into an error.
const (
	maxRange   = 100_000    // items of range()
	maxOutput  = 64 << 20   // bytes of one text
	maxBytes   = 1 << 30    // bytes of all texts and lists that one rendering makes
	maxSteps   = 10_000_000 // items and calls of one rendering
	maxItems   = 1_000_000  // of one list, tuple or dict
	itemBytes  = 64         // of an item in maxBytes, about
	maxDepth   = 200        // nested calls, and levels of a value
	maxNesting = 200        // nested tags and brackets in a source
	maxTokens  = 200_000    // in one tag
	maxIntBits = 14_000     // Python prints up to 4300 digits
)

// step counts n units of work.
func (s *state) step(n int) {
	s.steps += n
	if s.steps > maxSteps {
		s.fail("the template does too much work (endless loop?)")
	}
}

// alloc counts n bytes of new text, before it is made where that is possible.
func (s *state) alloc(n int) {
	if n > maxOutput {
		s.fail("the result is longer than %d MiB", maxOutput>>20)
	}
	s.bytes += n
	if s.bytes > maxBytes {
		s.fail("the template makes more than %d MiB of text", maxBytes>>20)
	}
}

// made counts the n items of a new list, before it is made where that is possible.
func (s *state) made(n int) {
	if n > maxItems {
		s.fail("the result has more than %d items", maxItems)
	}
	s.bytes += n * itemBytes
	if s.bytes > maxBytes {
		s.fail("the template makes more than %d MiB of lists and text", maxBytes>>20)
	}
}

// enter counts one level of nesting; the caller defers leave.
func (s *state) enter() {
	s.depth++
	if s.depth > maxDepth {
		s.fail("nested too deeply (endless recursion?)")
	}
}

func (s *state) leave() { s.depth-- }

// repeat is strings.Repeat that refuses to fill the memory. A negative count gives "".
func (s *state) repeat(text string, n int64) string {
	if n <= 0 || text == "" {
		return ""
	}
	if n > int64(maxOutput/len(text)) {
		s.fail("the result is longer than %d MiB", maxOutput>>20)
	}
	s.alloc(len(text) * int(n))
	return strings.Repeat(text, int(n))
}

// integer brings a big integer into its shortest form: int64 where it fits.
func (s *state) integer(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	if n.BitLen() > maxIntBits {
		s.fail("the integer is too large")
	}
	return n
}
