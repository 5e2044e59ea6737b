package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCodes: the constants and the table have the same codes in the same order, each with a known status.
// A constant has its code's name without dots.
func TestCodes(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var constants []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil || strings.ReplaceAll(code, ".", "") != v.Names[0].Name {
				t.Errorf("%s is %s", v.Names[0].Name, code)
			}
			constants = append(constants, code)
		}
	}
	var lines []string
	for line := range strings.Lines(codes) {
		code, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		lines = append(lines, code)
		status, sentence, _ := strings.Cut(rest, " ")
		kind, message := Code(code).entry()
		if sentence == "-" {
			sentence = ""
		}
		if strconv.Itoa(kind.Status()) != status || message != sentence {
			t.Errorf("%s: %d %q", code, kind.Status(), message)
		}
	}
	if !slices.Equal(constants, lines) || !slices.IsSorted(lines) || len(lines) < 90 {
		t.Errorf("constants and table differ:\n%v\n%v", constants, lines)
	}
}

// TestOf: every code that is passed to Of has a sentence in the table.
func TestOf(t *testing.T) {
	use := regexp.MustCompile(`fault\.Of\(fault\.(\w+)\)`)
	uses := 0
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range use.FindAllSubmatch(src, -1) {
			uses++
			if Of(Code(m[1])).Message == "" {
				t.Errorf("%s: %s has no sentence", path, m[1])
			}
		}
		return err
	})
	if err != nil || uses < 50 {
		t.Errorf("%d uses, %v", uses, err)
	}
}

func TestUnknownCode(t *testing.T) {
	for _, code := range []Code{"", "NoSuch", "Key", "The", "400", "-"} {
		if f := Of(code); f.Kind != KindInternal || f.Message != "" {
			t.Errorf("%q: %+v", code, f)
		}
	}
	if Kind(200).Status() != 500 {
		t.Error("an unknown kind has another status than 500")
	}
}
