package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// TestOneDoor: in the file that may delete records of core/object, only remove and forget delete records.
// Only remove, which checks protection, names the record of a version; forget refuses keys of versions
// (tested in core/object).
func TestOneDoor(t *testing.T) {
	file := filepath.Join("..", "..", "internal", "core", "object", "door.go")
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var deleting, naming []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Delete" {
				deleting = append(deleting, fn.Name.Name)
			} else if ok && s.Sel.Name == "version" {
				naming = append(naming, fn.Name.Name)
			}
			return true
		})
	}
	if !slices.Equal(deleting, []string{"remove", "forget"}) {
		t.Errorf("records are deleted by %v; only remove and forget may", deleting)
	}
	if !slices.Equal(naming, []string{"remove"}) {
		t.Errorf("the record of a version is named by %v; only remove may, once", naming)
	}
}
