package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A function fits a screen and can be followed.
const (
	mostLines  = 80
	mostBranch = 20 // cyclomatic complexity
)

func TestFunctions(t *testing.T) {
	t.Parallel()
	seen := 0
	everyFile(t, func(name string) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			seen++
			at := files.Position(f.Pos())
			if lines := files.Position(f.Body.Rbrace).Line - files.Position(f.Body.Lbrace).Line - 1; lines > mostLines {
				t.Errorf("%s: %s has %d lines, at most %d fit a screen", at, f.Name.Name, lines, mostLines)
			}
			if n := branches(f.Body); n > mostBranch {
				t.Errorf("%s: %s has %d branches, at most %d can be followed", at, f.Name.Name, n, mostBranch)
			}
			if f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: init runs at each start and in an order that nobody sees: let main call it", at)
			}
		}
	})
	if seen < 1000 {
		t.Errorf("only %d functions seen: is the walk right?", seen)
	}
}

// TestPureRooms holds that the race detector has nothing to look for where test/lib.sh leaves it out.
func TestPureRooms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "test/lib.sh"))
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^pure_rooms=\((.*)\)$`).FindStringSubmatch(string(text))
	if list == nil {
		t.Fatal("test/lib.sh has no list of pure rooms")
	}
	everyFile(t, func(name string) {
		if !slices.Contains(strings.Fields(list[1]), "./"+path.Dir(name)) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if _, starts := node.(*ast.GoStmt); starts {
				t.Errorf("%s starts a goroutine: test its room with the race detector (test/lib.sh)", name)
			}
			return true
		})
	})
}

// branches returns the cyclomatic complexity of a body: the number of ways through it that do not depend on each other.
func branches(body *ast.BlockStmt) int {
	n := 1
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if node.List != nil {
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}
