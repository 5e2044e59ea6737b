package arch

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPagesNamePaths: each path that a page names, as a link or in its text,
// exists. A path that a later change will add is written "new `path`".
func TestPagesNamePaths(t *testing.T) {
	root := filepath.Join("..", "..")
	tree, err := pathsOf(root)
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{
		"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/ARCHITECTURE.md", "docs/FORMAT.md",
		"docs/OPERATING.md", "docs/FLAGS.md", "docs/decisions/README.md",
	}
	how, err := filepath.Glob(filepath.Join(root, "docs", "howto", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range how {
		pages = append(pages, "docs/howto/"+filepath.Base(p))
	}
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, page))
			if err != nil {
				t.Fatal(err)
			}
			for _, missing := range missingPaths(page, string(text), tree) {
				t.Errorf("%s names %s, which does not exist", page, missing)
			}
		})
	}
}

// TestLeaningPages proves that the check finds missing paths.
func TestLeaningPages(t *testing.T) {
	tree := map[string]bool{
		"docs": true, "docs/a.md": true, "internal/core/object": true, "internal/core/object/put.go": true,
	}
	page := "[a](a.md) [b](b.md#x) core/object core/subject object/put.go `object/gone.go` new `core/later` " +
		"internal/core/object/put.go test/arch, [out](https://example.com/core/none)"
	got := missingPaths("docs/page.md", page, tree)
	if want := []string{"b.md#x", "core/subject", "object/gone.go", "test/arch"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// missingPaths returns the paths that a page names and the tree does not have.
func missingPaths(page, text string, tree map[string]bool) []string {
	text = regexp.MustCompile(`https?://\S+`).ReplaceAllString(text, "")
	text = regexp.MustCompile("new `[^`]*`").ReplaceAllString(text, "")
	var missing []string
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target != "" && !tree[path.Join(path.Dir(page), target)] {
			missing = append(missing, m[1])
		}
	}
	text = regexp.MustCompile(`\]\([^)]+\)`).ReplaceAllString(text, "]")
	rooms := `\b(?:cmd|internal|test|tools|changelog|gateway|core|access|storage|api|server|operator)/[\w./-]*\w`
	for _, name := range regexp.MustCompile(rooms+`|\b[\w/]+\.go\b`).FindAllString(text, -1) {
		room := regexp.MustCompile(`\.[A-Z].*$`).ReplaceAllString(name, "") // of policy.Decide, the room
		if !inTree(tree, room) {
			missing = append(missing, name)
		}
	}
	return missing
}

// inTree finds a path, or one that ends with it: pages omit internal and core if the meaning is clear.
func inTree(tree map[string]bool, name string) bool {
	if tree[name] {
		return true
	}
	for p := range tree {
		if strings.HasSuffix(p, "/"+name) {
			return true
		}
	}
	return false
}

// pathsOf lists the files and folders of a tree.
func pathsOf(root string) (map[string]bool, error) {
	tree := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() && (rel == "bin" || rel == ".git") {
			return fs.SkipDir
		}
		tree[filepath.ToSlash(rel)] = true
		return nil
	})
	return tree, err
}

// TestExamplesInPages: code that CONTRIBUTING shows is in one file of the tree, apart
// from line breaks.
func TestExamplesInPages(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	squeeze := strings.NewReplacer(" ", "", "\t", "", "\n", "").Replace
	sources := map[string]string{}
	err = eachFile(filepath.Join(root, "internal"), ".go", func(name string, src []byte) error {
		sources[name] = squeeze(string(src))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	for _, m := range blocks {
		found := false
		for _, src := range sources {
			found = found || strings.Contains(src, squeeze(m[1]))
		}
		if !found {
			t.Errorf("CONTRIBUTING.md shows what is in no file:\n%s", m[1])
		}
	}
	if len(blocks) == 0 {
		t.Error("CONTRIBUTING.md shows no code")
	}
}

// TestPictureOfTheHouse: each room that docs/house.svg shows exists.
func TestPictureOfTheHouse(t *testing.T) {
	root := filepath.Join("..", "..")
	picture, err := os.ReadFile(filepath.Join(root, "docs", "house.svg"))
	if err != nil {
		t.Fatal(err)
	}
	floor, rooms := "", 0
	shown := regexp.MustCompile(`class="t">([^<]+)<|class="r">([^<]+)<`)
	for _, m := range shown.FindAllStringSubmatch(string(picture), -1) {
		for _, name := range strings.Fields(m[1] + m[2]) {
			at := filepath.Join(root, "internal", floor, name)
			if m[1] != "" {
				floor, at = name, filepath.Join(root, "internal", name)
			}
			if _, err := os.Stat(at); err != nil {
				t.Errorf("docs/house.svg: %v", err)
			}
			rooms++
		}
	}
	if rooms < 20 {
		t.Errorf("only %d rooms are shown", rooms)
	}
}

// TestRoomsAreDescribed: docs/ARCHITECTURE.md names each room.
func TestRoomsAreDescribed(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := pathsOf(root)
	if err != nil {
		t.Fatal(err)
	}
	for file := range tree {
		room := path.Dir(file)
		if !strings.HasPrefix(file, "internal/") || path.Ext(file) != ".go" || strings.Count(room, "/") > 2 {
			continue
		}
		if !regexp.MustCompile(`\b` + path.Base(room) + `\b`).Match(text) {
			t.Errorf("docs/ARCHITECTURE.md does not say what %s is for", room)
		}
	}
}

// TestDecisionsAreListed: docs/decisions/README.md names each decision by its
// title, in order.
func TestDecisionsAreListed(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "decisions")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "0*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(page)
		heading, _, _ := strings.Cut(string(text), "\n")
		number, title, ok := strings.Cut(strings.TrimPrefix(heading, "# "), ": ")
		if !ok || number != name[:4] {
			t.Errorf("%s begins with %q, want its number and a title", name, heading)
		}
		want = append(want, "- ["+number+"]("+name+"): "+title)
	}
	got := regexp.MustCompile(`(?m)^- \[.*$`).FindAllString(string(index), -1)
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("docs/decisions/README.md lacks the line\n%s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("docs/decisions/README.md lists a missing decision: %s", line)
		}
	}
	if !slices.IsSorted(got) {
		t.Error("docs/decisions/README.md is not in order")
	}
}

// TestChangelog: each file of changelog/unreleased says in its first line what kind of
// change it is, and below it what it means for users.
func TestChangelog(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "changelog", "unreleased", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	form := regexp.MustCompile(`^(Added|Changed|Fixed|Removed|Security): \S[^\n]{0,100}\n\n\S`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !form.Match(text) || !strings.HasSuffix(file, ".md") {
			t.Errorf(`%s: want "Added|Changed|Fixed|Removed|Security: title", an empty line and a text`,
				filepath.Base(file))
		}
	}
}
