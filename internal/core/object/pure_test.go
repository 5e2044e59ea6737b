package object

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
)

func TestByteRange(t *testing.T) {
	for i, c := range []struct {
		header        string
		size          int64
		code          string
		partial       bool
		start, length int64
	}{
		{"bytes=0-0", 10, "", true, 0, 1},
		{"bytes=0-9", 10, "", true, 0, 10},
		{"bytes=2-4", 10, "", true, 2, 3},
		{"bytes=2-", 10, "", true, 2, 8},
		{"bytes=9-", 10, "", true, 9, 1},
		{"bytes=2-100", 10, "", true, 2, 8},
		{"bytes=2-99999999999999999999", 10, "", true, 2, 8},
		{"bytes=-3", 10, "", true, 7, 3},
		{"bytes=-10", 10, "", true, 0, 10},
		{"bytes=-11", 10, "", true, 0, 10},
		{"bytes=-99999999999999999999", 10, "", true, 0, 10},
		{"bytes=-0", 10, "InvalidRange", false, 0, 0},
		{"bytes=10-", 10, "InvalidRange", false, 0, 0},
		{"bytes=100-200", 10, "InvalidRange", false, 0, 0},
		{"bytes=99999999999999999999-", 10, "InvalidRange", false, 0, 0},
		{"bytes=0-", 0, "InvalidRange", false, 0, 0},
		{"bytes=-5", 0, "", false, 0, 0},
		{"bytes=-0", 0, "InvalidRange", false, 0, 0},
		// Ignored: the whole object.
		{"", 10, "", false, 0, 10},
		{"bytes", 10, "", false, 0, 10},
		{"bytes=", 10, "", false, 0, 10},
		{"bytes=-", 10, "", false, 0, 10},
		{"bytes=1-0", 10, "", false, 0, 10},
		{"bytes=100-50", 10, "", false, 0, 10},
		{"bytes=0--1", 10, "", false, 0, 10},
		{"bytes=--1", 10, "", false, 0, 10},
		{"bytes=0-1,3-4", 10, "", false, 0, 10},
		{"bytes=0-1,", 10, "", false, 0, 10},
		{"bytes=a-b", 10, "", false, 0, 10},
		{"bytes=+1-2", 10, "", false, 0, 10},
		{"bytes=1-2x", 10, "", false, 0, 10},
		{"bytes= 1-2", 10, "", false, 0, 10},
		{"Bytes=1-2", 10, "", false, 0, 10},
		{"chars=1-2", 10, "", false, 0, 10},
		{"1-2", 10, "", false, 0, 10},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s, err := byteRange(c.header, c.size)
			if c.code != "" {
				if !fault.Is(err, fault.Code(c.code)) || fault.From(err).Members["RangeRequested"] != c.header {
					t.Errorf("%q of %d: %+v %v", c.header, c.size, s, err)
				}
				return
			}
			if want := (span{partial: c.partial, start: c.start, length: c.length}); err != nil || s != want {
				t.Errorf("%q of %d: %+v %v, want %+v", c.header, c.size, s, err, want)
			}
		})
	}
}

func FuzzByteRange(f *testing.F) {
	f.Add("bytes=0-5", int64(3))
	f.Add("bytes=-5", int64(1<<62))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		s, err := byteRange(header, size)
		if err == nil && (s.start < 0 || s.length < 0 || s.length > size-s.start || s.partial && s.length == 0) {
			t.Fatalf("%q of %d: %+v", header, size, s)
		}
	})
}

func TestReadConditions(t *testing.T) {
	tag := ETag{Sum: md5.Sum([]byte("x"))}
	own, foreign := ptr(`"`+tag.String()+`"`), ptr(`"0123"`)
	modified := day(10).Add(700 * time.Millisecond)
	now := day(20)
	for name, c := range map[string]struct {
		in   GetInput
		code string // of the fault, then its Condition
	}{
		"none":                            {GetInput{}, ""},
		"match":                           {GetInput{IfMatch: own}, ""},
		"match, no quotes":                {GetInput{IfMatch: ptr(tag.String())}, ""},
		"match, in a list":                {GetInput{IfMatch: ptr(`"a", ` + *own + `,"b"`)}, ""},
		"match, star":                     {GetInput{IfMatch: ptr("*")}, ""},
		"match, weak":                     {GetInput{IfMatch: ptr("W/" + *own)}, "PreconditionFailed If-Match"},
		"match, empty":                    {GetInput{IfMatch: ptr("")}, "PreconditionFailed If-Match"},
		"no match":                        {GetInput{IfMatch: foreign}, "PreconditionFailed If-Match"},
		"none-match":                      {GetInput{IfNoneMatch: foreign}, ""},
		"none-match fails":                {GetInput{IfNoneMatch: own}, "NotModified "},
		"none-match fails, weak":          {GetInput{IfNoneMatch: ptr("W/" + *own)}, "NotModified "},
		"none-match fails, star":          {GetInput{IfNoneMatch: ptr("*")}, "NotModified "},
		"modified since":                  {GetInput{IfModifiedSince: day(9)}, ""},
		"not modified since":              {GetInput{IfModifiedSince: day(11)}, "NotModified "},
		"not modified since, same second": {GetInput{IfModifiedSince: day(10)}, "NotModified "},
		"modified since a date to come":   {GetInput{IfModifiedSince: day(21)}, ""},
		"unmodified since":                {GetInput{IfUnmodifiedSince: day(11)}, ""},
		"unmodified since, same second":   {GetInput{IfUnmodifiedSince: day(10)}, ""},
		"modified after": {
			GetInput{IfUnmodifiedSince: day(9)}, "PreconditionFailed If-Unmodified-Since",
		},
		"match wins over unmodified":             {GetInput{IfMatch: own, IfUnmodifiedSince: day(9)}, ""},
		"none-match wins over modified, changed": {GetInput{IfNoneMatch: foreign, IfModifiedSince: day(11)}, ""},
		"none-match wins over modified, same":    {GetInput{IfNoneMatch: own, IfModifiedSince: day(9)}, "NotModified "},
		"match and none-match":                   {GetInput{IfMatch: own, IfNoneMatch: own}, "NotModified "},
		"412 before 304": {
			GetInput{IfMatch: foreign, IfNoneMatch: own}, "PreconditionFailed If-Match",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.in.conditions(tag, modified, now)
			got := ""
			if f := fault.From(err); f != nil {
				got = string(f.Code) + " " + f.Members["Condition"]
				if f.Kind == fault.KindNotModified &&
					(f.Headers["ETag"] != *own || f.Headers["Last-Modified"] != "Tue, 10 Nov 2026 12:00:00 GMT") {
					t.Error(name, f.Headers)
				}
			}
			if got != c.code {
				t.Errorf("%s: %q, want %q", name, got, c.code)
			}
		})
	}
}

func TestIfRange(t *testing.T) {
	v := &version{size: 10, modified: day(10).Add(time.Millisecond), etag: ETag{Sum: md5.Sum(nil)}}
	for header, partial := range map[string]bool{
		"": true, `"` + v.etag.String() + `"`: true, "Tue, 10 Nov 2026 12:00:00 GMT": true,
		`"other"`: false, "Tue, 10 Nov 2026 12:00:01 GMT": false, "*": false, "W/" + v.etag.String(): false,
	} {
		t.Run(fmt.Sprintf("%.60s", header), func(t *testing.T) {
			in := GetInput{Range: "bytes=0-0", IfRange: header}
			if s, err := in.span(nil, v); err != nil || s.partial != partial {
				t.Errorf("%q: %+v %v", header, s, err)
			}
		})
	}
}

func TestMetadataCheck(t *testing.T) {
	user := func(n int) map[string]string { return map[string]string{"n": strings.Repeat("v", n-1)} }
	for name, c := range map[string]struct {
		m    Metadata
		code string
	}{
		"empty":              {Metadata{}, ""},
		"2 KiB":              {Metadata{User: user(2048)}, ""},
		"2 KiB and one":      {Metadata{User: user(2049)}, "MetadataTooLarge"},
		"beyond ASCII":       {Metadata{User: map[string]string{"a": "é"}, ContentDisposition: "é"}, ""},
		"system too large":   {Metadata{ContentType: strings.Repeat("a", 8193)}, "MetadataTooLarge"},
		"line end in value":  {Metadata{User: map[string]string{"a": "b\r\nSet-Cookie: x"}}, "InvalidArgument"},
		"line end in system": {Metadata{CacheControl: "a\nb"}, "InvalidArgument"},
		"NUL":                {Metadata{ContentType: "a\x00"}, "InvalidArgument"},
		"name with colon":    {Metadata{User: map[string]string{"a:b": "c"}}, "InvalidArgument"},
		"upper-case name":    {Metadata{User: map[string]string{"A": "c"}}, "InvalidArgument"},
		"no name":            {Metadata{User: map[string]string{"": "c"}}, "InvalidArgument"},
		"redirect inside":    {Metadata{WebsiteRedirect: "/a"}, ""},
		"redirect outside":   {Metadata{WebsiteRedirect: "https://example.com"}, ""},
		"redirect elsewhere": {Metadata{WebsiteRedirect: "javascript:x"}, "InvalidRedirectLocation"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.m.check(); err != nil && !fault.Is(err, fault.Code(c.code)) || (err == nil) != (c.code == "") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func sample() *version {
	return &version{
		seq: 1 << 50, unique: unique{1, 2}, inline: true, size: 3, modified: day(1),
		etag:         ETag{md5.Sum([]byte("abc")), 7},
		storageClass: "STANDARD_IA", checksum: Checksum{digest.SHA256, Composite, []byte("sum"), 7},
		owner:      "444455556666",
		encryption: bucket.AES256, dataKey: []byte("key"), blob: "blob",
		metadata: Metadata{"a", "b", "c", "d", "e", "f", "g", map[string]string{"one": "1", "two": ""}},
		tags:     tag.Set{{Key: "colour", Value: "blue"}, {Key: "empty", Value: ""}},
	}
}

func same(a, b *version) bool {
	x, y := *a, *b
	users := maps.Equal(x.metadata.User, y.metadata.User)
	x.metadata.User, y.metadata.User = nil, nil
	keys := string(x.dataKey) == string(y.dataKey) && string(x.checksum.Sum) == string(y.checksum.Sum)
	return users && keys && string(x.encode()) == string(y.encode())
}

func TestRecords(t *testing.T) {
	v := sample()
	got, err := decodeVersion(v.encode())
	if err != nil || !same(got, v) || got.metadata.Expires != "f" || !slices.Equal(got.tags, v.tags) ||
		got.modified != v.modified || got.checksum.Algorithm != digest.SHA256 {
		t.Fatalf("%v\n%+v\n%+v", err, got, v)
	}
	if p, err := decodeVersion(v.pointer()); err != nil || !p.whole || !same(p, v) ||
		!bytes.Equal(p.dataKey, v.dataKey) {
		t.Errorf("whole: %v %+v", err, p)
	}
	long := *v
	long.metadata.ContentType = strings.Repeat("x", maxWhole)
	p, err := decodeVersion(long.pointer())
	if err != nil || p.whole || p.seq != v.seq || p.unique != v.unique || p.etag != v.etag ||
		p.metadata.ContentType != "" || p.tags != nil || p.dataKey != nil {
		t.Errorf("%v %+v", err, p)
	}
	if seq, err := pointerSeq(v.pointer()); err != nil || seq != v.seq {
		t.Error(seq, err)
	}
	var e Entry
	want := Entry{
		Size: 3, Modified: v.modified, ETag: v.etag, StorageClass: "STANDARD_IA", Owner: v.owner,
		Algorithm: digest.SHA256, ChecksumType: Composite,
	}
	if err := e.decode(v.pointer(), new(bucket.Bucket)); err != nil || e != want {
		t.Errorf("%v %+v", err, e)
	}
	for _, c := range []string{
		"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR",
	} {
		if className(classNumber(c)) != c {
			t.Error(c)
		}
	}
	for _, a := range digest.All() {
		if algorithmName(algorithmNumber(a)) != a {
			t.Error(a)
		}
	}
}

// listed returns what a listing shows of v, in a bucket of an owner.
func (v *version) listed(owner string) Entry {
	return Entry{
		v.size, v.modified, v.etag, v.storageClass, cmp.Or(v.owner, owner), v.checksum.Algorithm, v.checksum.Type,
	}
}

func FuzzDecodeVersion(f *testing.F) {
	f.Add(sample().encode())
	f.Add(sample().pointer())
	f.Add(newMarker(time.Unix(1, 0).UTC(), writer{}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		x := VersionEntry{Entry: Entry{Size: 7, Owner: "of another", Algorithm: digest.MD5}, null: true, Latest: true}
		listed := x.decode(b, &bucket.Bucket{Owner: "o"})
		pointerSeq(b)
		v, err := decodeVersion(b)
		if err != nil {
			return
		}
		if want := v.listed("o"); listed != nil || x.Entry != want || string(x.AppendID(nil)) != v.id() ||
			x.DeleteMarker != v.deleteMarker {
			t.Fatalf("%v\n%+v\n%+v", listed, x, want)
		}
		again, err := decodeVersion(v.encode())
		if err != nil || !same(v, again) || v.size < 0 {
			t.Fatalf("%v\n%+v\n%+v", err, v, again)
		}
	})
}

func TestVersionID(t *testing.T) {
	v := sample()
	seq, u, err := parseID(v.id())
	if err != nil || seq != v.seq || u != v.unique || len(v.id()) != 32 {
		t.Error(v.id(), seq, u, err)
	}
	if v.null = true; v.id() != NullVersion {
		t.Error(v.id())
	}
	for _, id := range []string{
		"", "x", "Null", strings.Repeat("!", 32), strings.Repeat("A", 31), strings.Repeat("A", 33), "\x00",
	} {
		if _, _, err := parseID(id); !fault.Is(err, "InvalidArgument") ||
			fault.From(err).Members["ArgumentName"] != "versionId" {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(sample().id())
	f.Add("null")
	f.Fuzz(func(t *testing.T, id string) {
		if seq, u, err := parseID(id); err == nil && (&version{seq: seq, unique: u}).id() != id {
			t.Fatalf("a second id of a version is accepted: %q", id)
		}
	})
}

func TestETag(t *testing.T) {
	tag := ETag{Sum: md5.Sum(nil)}
	if tag.String() != "d41d8cd98f00b204e9800998ecf8427e" {
		t.Error(tag)
	}
	if tag.Parts = 10000; tag.String() != "d41d8cd98f00b204e9800998ecf8427e-10000" {
		t.Error(tag)
	}
	if c := (Checksum{Sum: []byte{1, 2, 3}, Parts: 2}); c.String() != "AQID-2" {
		t.Error(c)
	}
}
