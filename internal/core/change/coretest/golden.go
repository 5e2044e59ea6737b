package coretest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Record is a sample record in its stored form.
type Record struct {
	Name  string
	Bytes []byte
}

// Golden compares sample records with a golden file that has a name and hexadecimal bytes
// on each line, so that the stored form never changes by accident. Records that are only in
// the file have older forms, which are no longer written.
func Golden(t *testing.T, file string, records []Record) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, hex, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			want[name] = hex
		}
	}
	for _, r := range records {
		if got := fmt.Sprintf("%x", r.Bytes); got != want[r.Name] {
			t.Errorf("the stored form is another one; %s has\n%s\t%s\nand now it is\n%s\t%s", file, r.Name,
				want[r.Name], r.Name, got)
		}
	}
}
