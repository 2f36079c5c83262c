package pipeline

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handoff-run/handoff/internal/pipe"
	"github.com/handoff-run/handoff/internal/stream"
)

// A check is the stage that looks at what the one before it writes, and fails where that is not what is expected. Nothing waits for
// it: the stage behind it has the bytes first, and the end of its input last.
type check struct {
	*stage
	before *stream.Before // nil: nothing to compare with
	out    *lineReader    // takes what goes to no file; nil: none
	taken  atomic.Int64

	mu     sync.Mutex // one reads the numbers while another counts
	stream *stream.Checker
}

func newCheck(st *stage) *check {
	c := &check{stage: st}
	var before stream.Before
	if st.e.o.Before != nil && st.spec.Check.Compares() && len(st.sc.lines) == 0 {
		before = st.e.o.Before(st.sc.path, st.spec.Name)
		c.before = &before
	}
	c.stream = stream.NewChecker(st.spec.Check.Contract, before)
	return c
}

func (c *check) run() ending {
	defer c.in.release()
	end := c.watch()
	c.in.release()
	if c.out != nil {
		c.out.finish()
	}
	end.Elapsed = time.Since(c.began)
	c.stats = c.statsSoFar()
	return end
}

// watch passes on the input until its end.
func (c *check) watch() ending {
	to := c.to.f
	if to == nil {
		var err error
		if c.out, to, err = c.e.readLines(); err != nil {
			return failure("%v", err)
		}
		c.out.line = func(text string) { c.event(Event{Kind: Output, Text: text}) }
		c.out.start()
		defer to.Close()
	}
	err := errNoInput
	if in := c.in.file(); in != nil {
		_, err = pipe.Watch(c.ctx, to, in, c.see)
	}
	return c.judge(to, err)
}

var errNoInput = errors.New("it has no input")

func (c *check) see(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken.Add(int64(len(b)))
	_, err := c.stream.Write(b)
	return err
}

// judge says how the stage ends. What was cut short was not what it should be anyway.
func (c *check) judge(to *os.File, err error) ending {
	switch {
	case c.stopped() != nil:
		return ending{Result: byCause(c.stopped())}
	case err == nil && c.to.piped && gone(to):
		return ending{Result: Result{Outcome: Success, Reason: "its reader needed no more"}, broken: true}
	case err == nil && !c.in.cut():
		c.mu.Lock()
		err = c.stream.Close()
		c.mu.Unlock()
	}
	breach, ok := errors.AsType[*stream.Breach](err)
	switch {
	case err == nil:
		return ending{Result: Result{Outcome: Success}}
	case ok:
		<-c.failing()
		return failure("found that %s", c.e.mask(breach.Error()))
	}
	<-c.failing()
	return failure("could not pass on its input: %v", err)
}

func (c *check) statsSoFar() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.taken.Load()
	return Stats{
		BytesIn: n, BytesOut: n, Exact: true, RecordsOut: c.stream.Records(), Rows: c.stream.Rows(), Columns: c.stream.Columns(), Before: c.before,
	}
}
