package cli

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestSplitLists(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, args, want string }{
		{"several after one flag", "run local -v a=1 b=2 -w ws", "run local --vars=a=1 --vars=b=2 -w ws"},
		{"repeated", "run local -v a=1 -v b=2", "run local --vars=a=1 --vars=b=2"},
		{"long", "run local --vars a=1 b=2", "run local --vars=a=1 --vars=b=2"},
		{"long with =", "run local --vars=a=1 b=2", "run local --vars=a=1 --vars=b=2"},
		{"glued", "run local -va=1", "run local --vars=a=1"},
		{"before the command", "-v a=1 b=2 run local -p prj", "--vars=a=1 --vars=b=2 run local -p prj"},
		{"other flags first", "-p prj -w ws run local -v a=b", "-p prj -w ws run local --vars=a=b"},
		{"a folder named as a command", "-p run run local -v a=1", "-p run run local --vars=a=1"},
		{"bare words belong to the value before", "run local -v a=x y z", "run local --vars=a=x --vars=y --vars=z"},
		{"a file", "run local -v vars.txt", "run local --vars=vars.txt"},
		{"envs", "-e resource_group=x task=y run local", "--envs=resource_group=x --envs=task=y run local"},
		{"nothing follows", "run local -v", "run local --vars"},
		{"both", "run local -v a=1 -e B=2 C=3", "run local --vars=a=1 --envs=B=2 --envs=C=3"},
		{"other flags untouched", "plan -o json --stage prod -y", "plan -o json --stage prod -y"},
		{"end of flags", "plan -- -v a", "plan -- -v a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cli{}
			got := splitLists(strings.Fields(tt.args), c.root())
			if diff := cmp.Diff(strings.Fields(tt.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	const file = "../../docs/reference/commands.md"
	got := Reference()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run `make docs`:\n%s", diff)
	}
}
