package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tableRoots are the trees whose tables TestTables checks.
func tableRoots() []string { return []string{"cmd", "internal", "test"} }

// TestTables checks that each case of a table runs in t.Run, so that -run can pick one
// and a failure names it.
func TestTables(t *testing.T) {
	for _, root := range tableRoots() {
		t.Run(root, func(t *testing.T) {
			err := eachFile(filepath.Join("..", "..", root), "_test.go", func(name string, src []byte) error {
				found, err := bareTables(root+"/"+name, src)
				for _, f := range found {
					t.Error(f)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestLeaningTables proves what counts as a table without t.Run, and what does
// not.
func TestLeaningTables(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"structs": {`for _, c := range []struct{ a string }{{"x"}, {"y"}} { t.Error(c.a) }`, true},
		"a map": {
			`for k, v := range map[string]int{"a": 1, "b": 2} { if f(k) != v { t.Errorf("x") } }`, true,
		},
		"a variable": {
			`cases := []struct{ a string }{{"x"}, {"y"}}; for _, c := range cases { t.Error(c.a) }`, true,
		},
		"t.Run": {`for _, c := range []struct{ a string }{{"x"}, {"y"}} { t.Run(c.a, g) }`, false},
		"inside of t.Run": {
			`t.Run("a", func(t *testing.T) { for _, c := range []struct{ a string }{{"x"}, {"y"}} { t.Error(c.a) } })`,
			false,
		},
		"strings": {`for _, want := range []string{"x", "y"} { if !has(want) { t.Error(want) } }`, false},
		"steps":   {`for _, step := range []struct{ a string }{{"x"}, {"y"}} { t.Error(step.a) }`, false},
		"left early": {
			`for _, c := range []struct{ a string }{{"x"}, {"y"}} { if c.a == "x" { break }; t.Error(c.a) }`, false,
		},
		"nothing reported": {`for _, c := range []struct{ a string }{{"x"}, {"y"}} { f(c.a) }`, false},
		"pairs of values":  {`for _, c := range [][2]string{{"x", "y"}, {"y", "z"}} { t.Error(c) }`, false},
		"one case":         {`for _, c := range []struct{ a string }{{"x"}} { t.Error(c.a) }`, false},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := bareTables("x_test.go", []byte("package x\nfunc TestX(t *testing.T) { "+c.body+" }\n"))
			if err != nil || (len(found) > 0) != c.want {
				t.Errorf("found %q, %v; want one: %v", found, err, c.want)
			}
		})
	}
}

// bareTables finds loops of a test over a literal of structs or a map, which
// report failures and have no t.Run around them or in them. A loop over steps
// that build on each other names its variable step. A loop that ends early is not a
// loop over cases.
func bareTables(name string, src []byte) ([]string, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || !strings.HasPrefix(fn.Name.Name, "Test") {
			continue
		}
		literals := literalsOf(fn)
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if _, ok := n.(*ast.FuncLit); ok {
				return false
			}
			loop, ok := n.(*ast.RangeStmt)
			if !ok || !isTable(loop, literals) {
				return true
			}
			if reports, runs := callsOfT(loop.Body); reports && !runs && !leavesEarly(loop.Body) {
				line := strconv.Itoa(fset.Position(loop.Pos()).Line)
				found = append(found,
					name+":"+line+": "+fn.Name.Name+" has a table without t.Run; if its rows build on "+
						"each other, name the variable step")
			}
			return false
		})
	}
	return found, nil
}

// literalsOf returns the variables of a function that hold a composite literal.
func literalsOf(fn *ast.FuncDecl) map[string]*ast.CompositeLit {
	all := map[string]*ast.CompositeLit{}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i := range a.Lhs {
				id, isName := a.Lhs[i].(*ast.Ident)
				if c, ok := a.Rhs[i].(*ast.CompositeLit); ok && isName {
					all[id.Name] = c
				}
			}
		}
		return true
	})
	return all
}

// isTable reports whether a loop is over several literal cases: structs, or a map.
func isTable(loop *ast.RangeStmt, literals map[string]*ast.CompositeLit) bool {
	c, _ := loop.X.(*ast.CompositeLit)
	if id, ok := loop.X.(*ast.Ident); ok {
		c = literals[id.Name]
	}
	if v, ok := loop.Value.(*ast.Ident); c == nil || len(c.Elts) < 2 || ok && v.Name == "step" {
		return false
	}
	if _, ok := c.Type.(*ast.MapType); ok {
		return true
	}
	if list, ok := c.Type.(*ast.ArrayType); ok {
		if _, nested := list.Elt.(*ast.ArrayType); nested {
			return false // pairs of values
		}
	}
	_, isStructs := c.Elts[0].(*ast.CompositeLit)
	return isStructs
}

// callsOfT returns whether a loop itself reports failures, and whether it runs
// subtests.
func callsOfT(body *ast.BlockStmt) (reports, runs bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := s.X.(*ast.Ident); ok && id.Name == "t" {
			reports = reports || slices.Contains([]string{"Error", "Errorf"}, s.Sel.Name)
			runs = runs || s.Sel.Name == "Run"
		}
		return true
	})
	return reports, runs
}

// leavesEarly reports whether a loop has a break or a return.
func leavesEarly(body *ast.BlockStmt) bool {
	leaves := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			leaves = true
		case *ast.BranchStmt:
			leaves = leaves || n.Tok == token.BREAK || n.Label != nil
		}
		return true
	})
	return leaves
}
