package cloud_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A call that failed there is told from what failed here.
func TestMark(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	c := cloud.Mark(cloud.Complete(cloud.Cloud{Provider: "none", Files: files}))
	if _, err := c.Files.Put(t.Context(), "a", cloud.Text("text"), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	body, _, err := c.Files.Get(t.Context(), "a", cloud.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(fullDisk{}, body); err == nil || cloud.IsFailure(err) {
		t.Errorf("the disk of the reader: %v", err)
	}
	var got bytes.Buffer
	if body, _, err = c.Files.Get(t.Context(), "a", cloud.GetOptions{}); err == nil {
		_, err = io.Copy(&got, body)
	}
	if err != nil || got.String() != "text" {
		t.Errorf("%q, %v", got.String(), err)
	}
	files.Before = func(string, string) error { return errors.New("no network") }
	_, _, get := c.Files.Get(t.Context(), "a", cloud.GetOptions{})
	_, put := c.Files.Put(t.Context(), "a", cloud.Text("text"), cloud.PutOptions{})
	_, status := c.Jobs.Status(t.Context(), "j")
	var list error
	for _, err := range c.Files.List(t.Context(), "") {
		list = err
	}
	for _, err := range []error{get, put, status, list, c.Files.Delete(t.Context(), "a")} {
		if !cloud.IsFailure(err) || err.Error() == "" {
			t.Errorf("not a failure of a call: %v", err)
		}
	}
}
