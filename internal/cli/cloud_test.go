package cli

import (
	"errors"
	"testing"

	"github.com/handoff-run/handoff/internal/app"
)

func TestHome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"named", []string{"HOME=/h", "XDG_DATA_HOME=/x", "HANDOFF_HOME=/mine"}, "/mine"},
		{"data folder", []string{"HOME=/h", "XDG_DATA_HOME=/x"}, "/x/handoff"},
		{"a data folder that its standard tells to ignore", []string{"HOME=/h", "XDG_DATA_HOME=x"}, "/h/.local/share/handoff"},
		{"home", []string{"HOME=/h", "HANDOFF_HOME="}, "/h/.local/share/handoff"},
	} {
		got, err := (&cli{environ: tt.environ}).home()
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if _, err := (&cli{}).home(); err == nil {
		t.Error("a home out of nothing")
	}
}

func TestOpenCloudRefuses(t *testing.T) {
	t.Parallel()
	c := &cli{environ: []string{"HANDOFF_HOME=" + t.TempDir()}}
	for _, o := range []app.CloudOptions{{Provider: "nimbus"}, {Provider: "local", Platform: "docker"}} {
		_, err := c.openCloud(t.Context(), o)
		if usage, ok := errors.AsType[*app.UsageError](err); !ok || usage.Hint == "" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
