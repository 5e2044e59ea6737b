package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsNameTests: each test that docs/THREATS.md names exists in the package
// that it names, so that each promise there has a test.
func TestThreatsNameTests(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "THREATS.md"))
	if err != nil {
		t.Fatal(err)
	}
	there, err := testsOf(root)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(\\w+)\\.((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(text), -1)
	for _, n := range named {
		if !there[n[1]+"."+n[2]] {
			t.Errorf("there is no %s.%s", n[1], n[2])
		}
	}
	if len(named) < 50 {
		t.Errorf("only %d tests are named", len(named))
	}
}

// testsOf finds the tests of a tree, as "package.TestName"; the tests of an
// external test package are the package's.
func testsOf(root string) (map[string]bool, error) {
	found := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	pkg := regexp.MustCompile(`(?m)^package (\w+)`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		p := pkg.FindSubmatch(src)
		if p == nil {
			return nil
		}
		for _, m := range name.FindAllSubmatch(src, -1) {
			found[strings.TrimSuffix(string(p[1]), "_test")+"."+string(m[1])] = true
		}
		return nil
	})
	return found, err
}
