package format

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// kind is a row of the table of records in docs/FORMAT.md.
type kind struct {
	text   string // the key as the page has it
	key    *regexp.Regexp
	fields []int // empty if the value is not a record
	seen   int
}

// page reads the table of records.
func page(t *testing.T) []*kind {
	t.Helper()
	text, err := os.ReadFile("../../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Records")
	table, _, _ = strings.Cut(table, "\n## ")
	var all []*kind
	for line := range strings.Lines(table) {
		cells := strings.SplitN(strings.Trim(strings.TrimSpace(line), "|"), "|", 2)
		key := strings.TrimPrefix(strings.TrimSpace(cells[0]), "`")
		if key, ok := strings.CutSuffix(key, "`"); ok && len(cells) == 2 {
			all = append(all, &kind{text: key, key: pattern(key), fields: numbers(cells[1])})
		}
	}
	if len(all) < 30 {
		t.Fatalf("the page has %d kinds of records", len(all))
	}
	version := all[slices.IndexFunc(all, func(k *kind) bool { return strings.HasPrefix(k.text, "v/") })]
	for _, k := range all {
		if strings.HasPrefix(k.text, "m/") || strings.HasPrefix(k.text, "c/") {
			k.fields = append(k.fields, version.fields...)
		}
	}
	return all
}

// pattern turns a key of the page into an expression over bytes as Latin-1.
func pattern(key string) *regexp.Regexp {
	expression := regexp.MustCompile(`\\x00|[A-Z]+|[^A-Z\\]+`).ReplaceAllStringFunc(key, func(part string) string {
		switch part {
		case `\x00`:
			return `\x00`
		case "ID", "SEQ", "END":
			return "[\\x00-\\xff]{8}"
		case "NAME", "URL":
			return "[^\\x00]+"
		case "KEY", "PATHNAME", "OWNER", "SERIAL", "ALIAS", "MAKER":
			return "[^\\x00]+"
		case "ACCOUNT":
			return "[0-9]{12}"
		case "UNIQUE", "TOKEN":
			return "[\\x00-\\xff]{16}"
		case "UPLOAD":
			return "[\\x00-\\xff]{24}"
		case "UUID":
			return "[0-9a-f-]{36}"
		case "GRANT":
			return "[0-9a-f]{64}"
		case "PRINCIPAL":
			return "[^\\x00]+"
		case "MATERIAL":
			return "[\\x00-\\xff]{32}"
		case "NUMBER":
			return "[\\x00-\\xff]{2}"
		case "N":
			return "[\\x00-\\xff]{4}"
		case "BLOB":
			return "[0-9a-fs][0-9a-f]{31}"
		case "PLACE":
			return "[0-9a-f]{13}"
		case "CANONICAL":
			return "[0-9a-f]{64}"
		case "K":
			return "[ugrp]"
		case "T":
			return "[docqhpg]"
		case "RESOURCE", "USED", "USER", "HOST":
			return "[^\\x00/]+"
		case "COUNT":
			return "[\\x00-\\xff]{8}"
		case "HASH":
			return "[\\x00-\\xff]{32}"
		case "U":
			return "[pb]"
		case "KEYID", "GROUPID", "USERID", "POLICYID":
			return "[A-Z0-9]{16,}"
		}
		return regexp.QuoteMeta(strings.ReplaceAll(part, " ", ""))
	})
	if strings.HasPrefix(key, "i/") { // an id there is one of AWS's kind
		expression = strings.ReplaceAll(expression, "/[\\x00-\\xff]{8}$", "/[A-Z0-9]{16,}$")
		if strings.HasSuffix(key, "/ID") {
			expression = strings.TrimSuffix(expression, "[\\x00-\\xff]{8}") + "[A-Z0-9]{16,}"
		}
	}
	return regexp.MustCompile("(?s)^" + expression + "$")
}

// numbers are the field numbers that a row names.
func numbers(row string) (out []int) {
	for open := regexp.MustCompile(`\([^()]*\)`); open.MatchString(row); {
		row = open.ReplaceAllString(row, "")
	}
	row = regexp.MustCompile(`\d+ random bytes`).ReplaceAllString(row, "")
	for _, m := range regexp.MustCompile(`(\d+) to (\d+)`).FindAllStringSubmatch(row, -1) {
		from, _ := strconv.Atoi(m[1])
		to, _ := strconv.Atoi(m[2])
		for n := from; n <= to; n++ {
			out = append(out, n)
		}
	}
	for _, m := range regexp.MustCompile(`(?:^\s*|[:,] |and )(\d+) `).FindAllStringSubmatch(row, -1) {
		n, _ := strconv.Atoi(m[1])
		out = append(out, n)
	}
	return out
}

// latin1 makes each byte a rune.
func latin1(key string) string {
	r := make([]rune, len(key))
	for i := range len(key) {
		r[i] = rune(key[i])
	}
	return string(r)
}

// checkRecords compares each record of a directory with the page: its key, and the
// numbers of its fields.
func checkRecords(t *testing.T, d *directory, all []*kind) {
	t.Helper()
	for key, value := range d.records {
		if key == "al" || strings.HasPrefix(key, "a/") { // of the audit log, see its chapter
			continue
		}
		n := slices.IndexFunc(all, func(k *kind) bool { return k.key.MatchString(latin1(key)) })
		if n < 0 {
			t.Errorf("the page has no key like %q", key)
			continue
		}
		all[n].seen++
		if len(all[n].fields) == 0 {
			continue
		}
		fields, ok := fields(value)
		if !ok {
			t.Errorf("%q (%s) is not a record: %x", key, all[n].text, value)
		}
		for _, f := range fields {
			if !slices.Contains(all[n].fields, f.number) {
				t.Errorf("%q (%s) has a field %d, which the page does not name", key, all[n].text, f.number)
			}
		}
	}
}
