// Package arch checks the rules of the architecture: code that breaks one fails the
// build.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWalls checks the whole tree.
func TestWalls(t *testing.T) {
	found, files, err := inspect(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
	if files < 50 {
		t.Errorf("only %d files were checked: the test looks in the wrong place", files)
	}
}

// TestLeaningWalls proves that each rule finds the violations that it is for.
func TestLeaningWalls(t *testing.T) {
	found, _, err := inspect(filepath.Join("testdata", "leaning"))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(found, "\n")
	for _, want := range []string{
		"imports internal/core/object", "imports net/http", "imports encoding/xml", "imports math/rand",
		"imports unsafe",
		"imports example.com/library", "imports watertight/internal/storage/kv/embedded", "uses time.Now",
		"uses authz.NewCaller", "uses .Update", "has an init function",
		"uses time.Now by the name of clock", "imports fmt with a dot", "uses os.Exit by the name of sys",
		"object/rooms.go: imports internal/core/identity",
		"imports internal/core/rooms; internal/core/object may import",
		"api/s3/operator.go: uses .NewOperator", "api/s3/operator.go: uses bucket.Operator",
		"imports internal/operator",
		"object/rooms.go: uses .Delete", "object/rooms.go: uses .Remove",
		"api/s3/operator.go: uses bucket.VersionPrefix", "api/s3/operator.go: uses bucket.VersionsOf",
		"package variable cache", "spells the code of a fault", "compares a code with text",
		"function long has 71 lines", "has no package comment", "has 501 lines",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing was found that %q:\n%s", want, all)
		}
	}
}

// inspect walks a tree and returns the violations.
func inspect(root string) (found []string, files int, err error) {
	commented := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && rel != "." {
				return fs.SkipDir
			}
			return nil
		}
		name, isFixture := strings.CutSuffix(rel, ".fixture")
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			isFixture != strings.Contains(root, "testdata") {
			return nil
		}
		files++
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.ParseComments)
		if err != nil {
			return err
		}
		c := checker{file: name, dir: filepath.ToSlash(filepath.Dir(name)), fset: fset, src: string(src)}
		c.check(f)
		found = append(found, c.found...)
		commented[c.dir] = commented[c.dir] || f.Doc != nil
		return nil
	})
	for dir, ok := range commented {
		if !ok && strings.HasPrefix(dir, "internal") {
			found = append(found, dir+" has no package comment: say why the room exists and what it must never know")
		}
	}
	slices.Sort(found)
	return found, files, err
}

type checker struct {
	file, dir string
	fset      *token.FileSet
	src       string
	names     map[string]string // what the file calls a package: its last element
	found     []string
}

func (c *checker) say(format string, args ...any) {
	c.found = append(c.found, c.file+": "+fmt.Sprintf(format, args...))
}

func (c *checker) check(f *ast.File) {
	if n := strings.Count(c.src, "\n"); n > maxFile && !ast.IsGenerated(f) {
		c.say("has %d lines; split it by what it is about", n)
	}
	c.names = map[string]string{}
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		c.imports(path)
		if i.Name == nil {
			continue
		}
		c.names[i.Name.Name] = path[strings.LastIndex(path, "/")+1:]
		if i.Name.Name == "." {
			c.say("imports %s with a dot: say where a name comes from", path)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			c.function(d)
		case *ast.GenDecl:
			c.globals(d)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			c.symbol(n)
		case *ast.CallExpr:
			c.code(n)
		case *ast.BinaryExpr:
			if x, ok := n.X.(*ast.SelectorExpr); ok && x.Sel.Name == "Code" && isText(n.Y) {
				c.say("compares a code with text; name the code of package fault")
			}
		}
		return true
	})
}

// code finds codes of faults that are string literals instead of constants: a typo
// would compile.
func (c *checker) code(n *ast.CallExpr) {
	s, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	x, ok := s.X.(*ast.Ident)
	if !ok || x.Name != "fault" {
		return
	}
	at, ok := map[string]int{"Is": 1, "New": 0, "Of": 0}[s.Sel.Name]
	if ok && len(n.Args) > at && isText(n.Args[at]) {
		c.say("spells the code of a fault; name the code of package fault")
	}
}

func isText(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.STRING && l.Value != `""`
}

func (c *checker) imports(path string) {
	if own, ok := strings.CutPrefix(path, module); ok {
		room := ""
		for prefix := range layers {
			if within(c.file, []string{prefix}) && len(prefix) > len(room) {
				room = prefix
			}
		}
		if room == "" {
			c.say("belongs to no layer; add it to layers")
		} else if !within(own, append([]string{room}, layers[room]...)) {
			c.say("imports %s; %s may import %v of the house", own, room, layers[room])
		}
	} else if within(c.file, pure) && strings.Contains(strings.Split(path, "/")[0], ".") &&
		!(path == secondCipher && within(c.file, []string{"internal/storage/seal"})) {
		c.say("imports %s; this room knows the standard library alone", path)
	}
	for _, b := range banned {
		if (path == b.path || strings.HasPrefix(path, b.path+"/")) && !within(c.file, b.allowed) {
			c.say("imports %s: %s", path, b.reason)
		}
	}
}

func (c *checker) function(d *ast.FuncDecl) {
	if d.Name.Name == "init" && d.Recv == nil {
		c.say("has an init function; build things where they are wired")
	}
	if n := c.fset.Position(d.End()).Line - c.fset.Position(d.Pos()).Line + 1; n > maxFunction {
		c.say("function %s has %d lines; the limit is %d", d.Name.Name, n, maxFunction)
	}
}

func (c *checker) globals(d *ast.GenDecl) {
	if d.Tok != token.VAR || isEmbedded(d) {
		return
	}
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		for i, name := range v.Names {
			value := ""
			if i < len(v.Values) {
				value = c.src[c.fset.Position(v.Values[i].Pos()).Offset:c.fset.Position(v.Values[i].End()).Offset]
			}
			if !mayBeGlobal(name.Name, value) {
				c.say("package variable %s; hand it down instead", name.Name)
			}
		}
	}
}

// isEmbedded reports whether a variable holds embedded files of the tree.
func isEmbedded(d *ast.GenDecl) bool {
	return d.Doc != nil &&
		slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool {
			return strings.HasPrefix(c.Text,
				"//go:embed ")
		}) &&
		len(d.Specs) == 1
}

func (c *checker) symbol(s *ast.SelectorExpr) {
	for _, m := range methods {
		if s.Sel.Name == m.name && within(c.file, []string{m.room}) && !within(c.file, m.allowed) {
			c.say("uses .%s: %s", m.name, m.reason)
		}
	}
	for _, b := range symbols {
		if s.Sel.Name != b.name || within(c.file, b.allowed) {
			continue
		}
		if b.pkg == "" {
			c.say("uses .%s: %s", b.name, b.reason)
		} else if x, ok := s.X.(*ast.Ident); ok && x.Name == b.pkg {
			c.say("uses %s.%s: %s", b.pkg, b.name, b.reason)
		} else if ok && c.names[x.Name] == b.pkg {
			c.say("uses %s.%s by the name of %s: %s", b.pkg, b.name, x.Name, b.reason)
		}
	}
}
