package pipeline

import (
	"os"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/handoff-run/handoff/internal/plan"
)

// scope is where in the tree of a run a task stands.
type scope struct {
	path   []string // names from the root to the task
	lines  []string // of the enclosing foreach loops, outermost first
	key    string   // tells this body from every other, also from those of the same line
	suffix string   // of the names of artifacts: one part for each enclosing foreach
	in     *input   // stdin of commands and first stages; nil: /dev/null
	out    *os.File // takes stdout when a stage follows the enclosing foreach; nil: artifacts
	reader string   // name of that stage
	body   bool     // inside a foreach
	around *body    // the innermost one, or all that is outside of any
	within *stage   // the foreach or fork around the task; nil: none

	errors *atomic.Int64 // takes the number of lines at ERROR level of what succeeds in a foreach; nil: outside of one
}

func (s scope) enter(t *plan.Task) scope {
	s.path = append(slices.Clip(s.path), t.Name)
	s.key += "/" + t.Name
	return s
}

// bodyOf is the scope of the tasks that a foreach runs for its n-th line.
func (s scope) bodyOf(line string, loop *stage, n int64) scope {
	s.lines = append(slices.Clip(s.lines), line)
	s.key += ":" + strconv.Itoa(loop.index) + ":" + strconv.FormatInt(n, 10)
	s.in, s.body, s.within, s.around = nil, true, loop, &body{}
	return s
}

// input is what a stage reads.
type input struct {
	f       *os.File
	owned   bool         // a read end of a pipe: handoff must close its copy as soon as the stage has it
	partial *atomic.Bool // at end-of-file: the stream was cut short by a failure; nil: never
}

func (i *input) file() *os.File {
	if i == nil {
		return nil
	}
	return i.f
}

// release closes handoff's copy. Further calls do nothing.
func (i *input) release() {
	if i != nil && i.owned {
		_ = i.f.Close()
	}
}

// isPipe reports whether a stage of the run writes what is read here.
func (i *input) isPipe() bool { return i != nil && i.owned }

func (i *input) cut() bool { return i != nil && i.partial != nil && i.partial.Load() }
