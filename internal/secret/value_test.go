package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

type holder struct {
	Public  Value
	private Value
	Pointer *Value
	List    []Value
	Map     map[string]Value
}

func TestValueNeverShows(t *testing.T) {
	t.Parallel()
	const planted = "hunter22"
	v := NewValue(planted)
	h := holder{Public: v, private: v, Pointer: &v, List: []Value{v}, Map: map[string]Value{"k": v}}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, x := range []any{v, &v, h, &h, h.private} {
			shown = append(shown, fmt.Sprintf(verb, x))
		}
	}
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"h": h.List, "v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v, "h", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v, "h", h)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "err", fmt.Errorf("wrap: %v", v))
	shown = append(shown, string(j), string(y), log.String(), cmp.Diff(v, NewValue("other")))
	for _, s := range shown {
		if strings.Contains(s, planted) || strings.Contains(s, "68756e74") {
			t.Errorf("shows the secret: %s", s)
		}
	}
	for name, s := range map[string]string{"json": string(j), "yaml": string(y), "slog": log.String(), "fmt": fmt.Sprintf("%+v", v)} {
		if !strings.Contains(s, Mask) {
			t.Errorf("%s has no mask: %s", name, s)
		}
	}
}

func TestValueReveal(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "x", "a\x00\xff\n"} {
		if got := NewValue(s).Reveal(); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	}
	var zero Value
	if zero.Reveal() != "" || !zero.Equal(NewValue("")) {
		t.Error("the zero Value is not the empty text")
	}
}
