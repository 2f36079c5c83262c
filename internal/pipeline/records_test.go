package pipeline

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
)

// What is taken ahead is what the next read would have taken: at most 64 KiB, and the writer is let on no further.
func TestRecordsAhead(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	rd, err := newRecords(&input{f: r, owned: true})
	if err != nil {
		t.Fatal(err)
	}
	defer rd.close()
	line := strings.Repeat("x", 999) + "\n"
	write := func(lines int) {
		if _, err := io.WriteString(w, strings.Repeat(line, lines)); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 { // the pipe holds 64 KiB, so a test that takes too little hangs
		write(50)
		rd.total()
		if n := len(rd.waiting); n > aheadRoom {
			t.Fatalf("%d bytes taken ahead", n)
		}
		for range 50 {
			if got, err := rd.next(); err != nil || got != line[:999] {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	write(60)
	rd.total()
	write(30)
	w.Close()
	if n, known := rd.total(); known {
		t.Errorf("%d lines known before the end of the input is in sight", n)
	}
	for range 60 {
		_, _ = rd.next()
	}
	n, known := rd.total()
	for !known { // a process that another test is starting may have the write end for a moment
		runtime.Gosched()
		n, known = rd.total()
	}
	if n != 390 {
		t.Errorf("%d lines; want 390", n)
	}
}
