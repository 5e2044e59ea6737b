package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"watertight/internal/access/action"
)

// TestActionsAreInTheCatalogue: every action that the source names, in a need, a
// demand or a rule, is in the catalogue under exactly this name.
func TestActionsAreInTheCatalogue(t *testing.T) {
	var known []string
	for _, service := range action.Services() {
		for _, a := range action.Parse(service).Actions {
			known = append(known, a.Name)
		}
	}
	// IAM's handlers put some names together: a verb, a kind of entity, and the rest.
	begins := func(name string) bool {
		return strings.HasPrefix(name, "iam:") &&
			slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, name) })
	}
	named := regexp.MustCompile(`^(iam|kms|s3|sts):[A-Z]\w+$`)
	found := 0
	err := filepath.WalkDir(filepath.Join("..", "..", "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			l, ok := n.(*ast.BasicLit)
			if !ok || l.Kind != token.STRING {
				return true
			}
			name, err := strconv.Unquote(l.Value)
			if err != nil || !named.MatchString(name) {
				return true
			}
			if found++; !slices.Contains(known, name) && !begins(name) {
				t.Errorf("%s: the catalogue has no action %s", path, name)
			}
			return true
		})
		return nil
	})
	if err != nil || found < 100 {
		t.Errorf("%d actions, %v", found, err)
	}
}
