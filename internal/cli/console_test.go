package cli

import (
	"io"
	"os"
	"strings"
	"testing"
)

// What is written after a flush comes after what the console was given.
func TestConsoleFlush(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		got <- string(text)
	}()
	c := newConsole(w)
	const rounds = 2000
	for range rounds {
		_, _ = c.Write([]byte("log"))
		c.flush()
		_, _ = w.WriteString(" result\n")
	}
	c.close()
	_ = w.Close()
	if text := <-got; text != strings.Repeat("log result\n", rounds) {
		t.Error("a result overtook the log")
	}
}
