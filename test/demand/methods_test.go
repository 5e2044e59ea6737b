package demand

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/policy"
)

// method is an exported method of core that takes a grant, as its source has it.
type method struct {
	room, receiver, name string          // "core/identity", "Store", "CreateKey"
	params               []string        // names of the parameters after the grant
	needs                []policy.Action // what its comment says that it needs
	takesAction          bool
}

func (m *method) String() string { return m.room + "." + m.receiver + "." + m.name }

// methods reads the rooms of core. Methods that take a reader or a transaction are
// left out: handlers have neither, so only core itself calls them.
func methods(t *testing.T) (all []method) {
	t.Helper()
	const root = "../../internal/core"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		room, err := filepath.Rel("../../internal", filepath.Dir(path))
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.IsExported() {
				if m, ok := methodOf(fn); ok {
					m.room = filepath.ToSlash(room)
					all = append(all, m)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func methodOf(fn *ast.FuncDecl) (m method, granted bool) {
	receiver := fn.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	name, ok := receiver.(*ast.Ident)
	if !ok || !name.IsExported() {
		return m, false
	}
	m.receiver, m.name = name.Name, fn.Name.Name
	for _, p := range fn.Type.Params.List {
		if s, ok := p.Type.(*ast.SelectorExpr); ok {
			switch s.Sel.Name {
			case "Grant":
				granted = true
				continue
			case "Reader", "Tx":
				return m, false
			case "Action":
				m.takesAction = true
			}
		}
		for _, n := range p.Names {
			if granted {
				m.params = append(m.params, n.Name)
			}
		}
	}
	m.needs = needsIn(fn.Doc.Text())
	return m, granted
}

// needsIn finds the actions in the sentence "It needs ..." of a comment.
func needsIn(comment string) (all []policy.Action) {
	_, rest, ok := strings.Cut(strings.ReplaceAll(comment, "\n", " "), "It needs ")
	if !ok {
		return nil
	}
	if end := regexp.MustCompile(`\. [A-Z]|\.\s*$`).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	action := regexp.MustCompile(`\b(?:s3|iam|sts|kms|cloudfront|watertight):[A-Z]\w+`)
	for _, name := range action.FindAllString(rest, -1) {
		if a := policy.Action(name); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}
