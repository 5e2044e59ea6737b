package tag

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/fault"
)

func numbered(n int) []Tag {
	tags := make([]Tag, n)
	for i := range tags {
		tags[i] = Tag{"k" + strconv.Itoa(i), "v"}
	}
	return tags
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		tags   []Tag
		code   string // empty: accepted
		member string // TagKey
	}{
		"none":                      {nil, "", ""},
		"every character":           {[]Tag{{"aZ09 _.:/=+-@é漢", "aZ09 _.:/=+-@é漢"}}, "", ""},
		"an empty value":            {[]Tag{{"k", ""}}, "", ""},
		"same key in another case":  {[]Tag{{"k", "1"}, {"K", "2"}}, "", ""},
		"longest in characters":     {[]Tag{{strings.Repeat("é", 128), strings.Repeat("漢", 256)}}, "", ""},
		"aws without a colon":       {[]Tag{{"awsome", "1"}}, "", ""},
		"an empty key":              {[]Tag{{"", "v"}}, "InvalidTag", ""},
		"a key too long":            {[]Tag{{strings.Repeat("k", 129), "v"}}, "InvalidTag", strings.Repeat("k", 129)},
		"a value too long":          {[]Tag{{"k", strings.Repeat("v", 257)}}, "InvalidTag", "k"},
		"a character of no use":     {[]Tag{{"k<", "v"}}, "InvalidTag", "k<"},
		"a value of no use":         {[]Tag{{"k", "v\x00"}}, "InvalidTag", "k"},
		"a line break":              {[]Tag{{"k", "v\n"}}, "InvalidTag", "k"},
		"no UTF-8":                  {[]Tag{{"k\xff", "v"}}, "InvalidTag", "k\xff"},
		"a key of the system's":     {[]Tag{{"aws:k", "v"}}, "InvalidTag", "aws:k"},
		"the same in another case":  {[]Tag{{"AWS:k", "v"}}, "InvalidTag", "AWS:k"},
		"a key twice":               {[]Tag{{"k", "1"}, {"l", "1"}, {"k", "2"}}, "InvalidTag", "k"},
		"a key twice, second is ok": {[]Tag{{"b", "1"}, {"a", "1"}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, check := range map[string]func([]Tag) (Set, error){
				"object": Object, "bucket": Bucket, "new bucket": NewBucket,
			} {
				set, err := check(slices.Clone(c.tags))
				if c.code == "" {
					sorted := slices.IsSortedFunc(set, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
					if err != nil || len(set) != len(c.tags) || !sorted {
						t.Errorf("%s of %s: %v %v", name, kind, set, err)
					}
					continue
				}
				f := fault.From(err)
				if f == nil || string(f.Code) != c.code || f.Kind != fault.KindInvalid || set != nil {
					t.Errorf("%s of %s: %v, want %s", name, kind, err, c.code)
					continue
				}
				if f.Members["TagKey"] != c.member && kind != "new bucket" {
					t.Errorf("%s of %s: TagKey %q, want %q", name, kind, f.Members["TagKey"], c.member)
				}
			}
		})
	}
}

func TestCounts(t *testing.T) {
	for i, c := range []struct {
		check func([]Tag) (Set, error)
		most  int
	}{{Object, MaxObject}, {Bucket, MaxBucket}, {NewBucket, MaxBucket}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if set, err := c.check(numbered(c.most)); err != nil || len(set) != c.most {
				t.Errorf("%d tags: %v", c.most, err)
			}
			if _, err := c.check(numbered(c.most + 1)); !fault.Is(err, "BadRequest") {
				t.Errorf("%d tags: %v", c.most+1, err)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	for value, want := range map[string]Set{
		"":                     nil,
		"&&":                   nil,
		"a=1":                  {{"a", "1"}},
		"b=2&a=1":              {{"a", "1"}, {"b", "2"}},
		"a":                    {{"a", ""}},
		"a=":                   {{"a", ""}},
		"a=1=2":                {{"a", "1=2"}},
		"a+b=c%20d":            {{"a b", "c d"}},
		"%C3%A9=%2B&":          {{"é", "+"}},
		"project%3Aname=x%2Fy": {{"project:name", "x/y"}},
	} {
		t.Run(value, func(t *testing.T) {
			if got, err := Header(value); err != nil || !slices.Equal(got, want) {
				t.Errorf("%q: %v %v, want %v", value, got, err, want)
			}
		})
	}
	for value, code := range map[string]string{
		"a=1&a=2": "InvalidArgument", "a=%": "InvalidArgument", "%zz=1": "InvalidArgument", "a=%ff": "InvalidArgument",
		"=1": "InvalidArgument", "a=%3C": "InvalidTag", "aws:a=1": "InvalidTag", "a;b=1": "InvalidTag",
		"a&b&c&d&e&f&g&h&i&j&k": "BadRequest",
	} {
		t.Run(value, func(t *testing.T) {
			if _, err := Header(value); !fault.Is(err, fault.Code(code)) {
				t.Errorf("%q: %v, want %s", value, err, code)
			}
		})
	}
}

// TestHeaderRoundTrip: every valid set is read back from its header.
func TestHeaderRoundTrip(t *testing.T) {
	text := func(least, most int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.SampledFrom([]rune("abZ9 _.:/=+-@é漢")), least, most, -1)
	}
	rapid.Check(t, func(r *rapid.T) {
		values := url.Values{}
		var want Set
		for key, value := range rapid.MapOfN(text(1, MaxKey), text(0, MaxValue), 0, MaxObject).Draw(r, "tags") {
			values.Set(key, value)
			want = append(want, Tag{key, value})
		}
		want, err := Object(want)
		if err != nil {
			r.Fatal(err)
		}
		if got, err := Header(values.Encode()); err != nil || !slices.Equal(got, want) {
			r.Fatalf("%q: %v %v", values.Encode(), got, err)
		}
		if got, err := Header(header(want)); err != nil || !slices.Equal(got, want) {
			r.Fatalf("%q: %v %v", header(want), got, err)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=%", "&&=", "a=1&a=2", "%C3%A9=%2B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		set, err := Header(value)
		if err != nil {
			if fault.From(err).Kind != fault.KindInvalid || set != nil {
				t.Fatal(set, err)
			}
			return
		}
		again, err := Object(slices.Clone(set))
		if err != nil || !slices.Equal(again, set) {
			t.Fatalf("%q: %v is not a valid set: %v", value, set, err)
		}
	})
}

// header formats a set as an x-amz-tagging header.
func header(s Set) string {
	var b strings.Builder
	for _, t := range s {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(t.Key))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(t.Value))
	}
	return b.String()
}
