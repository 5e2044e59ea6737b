package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxColumns is the longest line, so that two windows fit next to each other; a tab counts as four.
const maxColumns = 120

// TestColumns checks that no line of Go is longer.
func TestColumns(t *testing.T) {
	found, err := longLines(filepath.Join("..", ".."), ".go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range found {
		t.Error(line)
	}
}

// TestLeaningColumns proves that the check finds a long line, and accepts lines that
// cannot be broken.
func TestLeaningColumns(t *testing.T) {
	found, err := longLines(filepath.Join("testdata", "columns"), ".fixture")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"long.go.fixture:4: 122 columns; the limit is 120", "long.go.fixture:6: 121 columns; the limit is 120",
		"long.go.fixture:9: 123 columns; the limit is 120",
	}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("found %q, want %q", found, want)
	}
}

// longLines finds the lines of a tree that are too long. Generated files, and lines
// with a string literal that is itself too long, are exempt.
func longLines(root, suffix string) ([]string, error) {
	var found []string
	err := eachFile(root, suffix, func(name string, src []byte) error {
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil || ast.IsGenerated(f) {
			return err
		}
		spared := literalLines(src)
		number := 0
		for line := range strings.Lines(string(src)) {
			number++
			line = strings.TrimSuffix(line, "\n")
			if n := columns(line); n > maxColumns && !spared[number] {
				found = append(found, fmt.Sprintf("%s:%d: %d columns; the limit is %d", name, number, n, maxColumns))
			}
		}
		return nil
	})
	return found, err
}

// columns returns the number of a line's columns.
func columns(line string) int { return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t") }

// literalLines returns the lines that no formatting can shorten: raw strings that span lines, struct tags,
// and lines with only one string literal and a key, comma or parenthesis that must be next to it.
func literalLines(src []byte) map[int]bool {
	lines := map[int]bool{}
	text := strings.Split(string(src), "\n")
	alone := regexp.MustCompile(`^(\w+ *:?= *|[\w.]*[:({[]? *)[+]? *[,)}\]+:]*$`)
	tag := regexp.MustCompile(`^\w+ +[*[\].\w{}]+ *$`)
	var s scanner.Scanner
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(src))
	s.Init(file, src, nil, 0)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return lines
		}
		if tok != token.STRING {
			continue
		}
		at := fset.Position(pos)
		if n := strings.Count(lit, "\n"); n > 0 {
			for i := range n + 1 {
				lines[at.Line+i] = true
			}
			continue
		}
		line := text[at.Line-1]
		beside := strings.TrimSpace(line[:at.Column-1]) + " " + strings.TrimSpace(line[at.Column-1+len(lit):])
		if alone.MatchString(strings.TrimSpace(beside)) || tag.MatchString(beside) && lit[0] == '`' {
			lines[at.Line] = true
		}
	}
}

// eachFile calls look with each file of a tree that has the suffix, named from its root. It omits testdata.
func eachFile(root, suffix string, look func(name string, src []byte) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" || rel != "." && strings.HasPrefix(d.Name(), ".") || rel == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, suffix) {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return look(filepath.ToSlash(rel), src)
	})
}
