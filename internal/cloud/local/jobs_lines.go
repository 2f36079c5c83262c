package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

const (
	maxLine  = 64 << 10 // bytes; a longer line becomes several
	maxBatch = 500      // lines that are appended at once
)

// copyLines takes the output of the job into its log, until the end. Lines that come together are appended together, and
// no line waits for the next one. A log that cannot be written does not stop the job.
func (i *Inside) copyLines(from io.Reader) {
	in := bufio.NewReaderSize(from, maxLine)
	w := lineWriter{logs: i.logs, job: i.rec.ID, run: i.rec.RunID}
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			w.add(string(line))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			w.flush()
			return
		}
		if in.Buffered() == 0 || len(w.batch) >= maxBatch {
			w.flush()
		}
	}
}

// lineWriter collects lines.
type lineWriter struct {
	logs     *Logs
	job, run string
	batch    []cloud.Line
	lost     int // lines that could not be appended
}

func (w *lineWriter) add(text string) {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	w.batch = append(w.batch, cloud.Line{Time: time.Now(), JobID: w.job, RunID: w.run, Text: text})
}

func (w *lineWriter) flush() {
	if len(w.batch) == 0 {
		return
	}
	if w.lost > 0 {
		first := w.batch[0]
		first.Text = fmt.Sprintf("handoff: %d lines before this one could not be written", w.lost)
		w.batch = append([]cloud.Line{first}, w.batch...)
	}
	if err := w.logs.Append(context.Background(), w.batch...); err == nil {
		w.lost = 0
	} else if w.lost > 0 {
		w.lost += len(w.batch) - 1
	} else {
		w.lost = len(w.batch)
	}
	w.batch = w.batch[:0]
}
