package s3

import (
	"bytes"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/core/object"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/storage/digest"
)

// listedObject is a line of a listing as a shape, which says what lines must write (S3 API
// reference, Object).
type listedObject struct {
	Key               string `emit:"always"`
	LastModified      time.Time
	ETag              string
	ChecksumAlgorithm string
	ChecksumType      string
	Size              int64 `emit:"always"`
	StorageClass      string
	Owner             *listedOwner
}

// listedVersion is one of ListObjectVersions (ObjectVersion).
type listedVersion struct {
	Key               string `emit:"always"`
	VersionId         string
	IsLatest          bool `emit:"always"`
	LastModified      time.Time
	ETag              string
	ChecksumAlgorithm string
	ChecksumType      string
	Size              int64 `emit:"always"`
	StorageClass      string
	Owner             *listedOwner
}

// listedMarker is one of ListObjectVersions (DeleteMarkerEntry).
type listedMarker struct {
	Key          string `emit:"always"`
	VersionId    string
	IsLatest     bool `emit:"always"`
	LastModified time.Time
	Owner        *listedOwner
}

type listedOwner struct{ ID string }

type listedPage struct {
	Contents     []listedObject  `xml:"Contents"`
	Version      []listedVersion `xml:"Version"`
	DeleteMarker []listedMarker  `xml:"DeleteMarker"`
}

// encoded returns the elements of a page as shapes have them.
func encoded(t *rapid.T, p *listedPage) string {
	d, err := xmldoc.Compile("L", "", dialect.Fields(reflect.TypeFor[listedPage]()))
	if err != nil {
		t.Fatal(err)
	}
	var b, out []byte
	e := d.Encode(&b, reflect.ValueOf(p).Elem())
	w := bytes.NewBuffer(out)
	if n, err := e.WriteTo(w); err != nil || n != int64(e.Len()) {
		t.Fatal(n, err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(w.String(), xmldoc.Declaration+"<L>"), "</L>")
}

// drawEntry draws what a listing may show.
func drawEntry(t *rapid.T) object.Entry {
	e := object.Entry{
		Size:         rapid.Int64Min(0).Draw(t, "size"),
		Owner:        rapid.SampledFrom([]string{"1", "2", "<3>", ""}).Draw(t, "owner"),
		Algorithm:    rapid.SampledFrom(append(digest.All(), digest.None)).Draw(t, "algorithm"),
		ChecksumType: rapid.SampledFrom([]object.ChecksumType{object.FullObject, object.Composite, ""}).Draw(t, "type"),
		StorageClass: rapid.SampledFrom([]string{"STANDARD", "GLACIER_IR", ""}).Draw(t, "class"),
	}
	if at := rapid.OneOf(
		rapid.Just[int64](0), rapid.Int64Range(1, 9e6), rapid.Int64Range(1.7e15, 1.7e15+2e11), rapid.Int64Min(1),
	).Draw(t, "modified"); at > 0 {
		e.Modified = time.UnixMicro(at).UTC()
	}
	copy(e.ETag.Sum[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "sum"))
	e.ETag.Parts = rapid.SampledFrom([]uint32{0, 1, 10000}).Draw(t, "parts")
	return e
}

// TestLines: the lines of a page are what the shapes of AWS's members would be encoded as.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &API{}
		kind := rapid.SampledFrom([]string{"", "url"}).Draw(t, "encoding")
		withOwner := rapid.Bool().Draw(t, "with owner")
		l := a.newLines(kind, withOwner)
		for _, id := range []string{"1", "2", "<3>", ""} { // what the store would be asked for
			l.owners.remember(id, id)
		}
		want := ""
		for range rapid.IntRange(0, 20).Draw(t, "lines") {
			key := rapid.OneOf(
				rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
				rapid.StringN(0, 40, 1024), rapid.Just(strings.Repeat("\"", 20_000)),
			).Draw(t, "key")
			e := drawEntry(t)
			want += drawnLine(t, l, key, e, kind == "url", withOwner)
		}
		var got bytes.Buffer
		if n, err := l.to.WriteTo(&got); err != nil || n != int64(l.to.Len()) || got.String() != want {
			t.Fatalf("%d, %v\n%s\nwant\n%s", n, err, got.String(), want)
		}
		l.to.Release()
	})
}

// drawnLine adds a line and returns what it must be.
func drawnLine(t *rapid.T, l *lines, key string, e object.Entry, escape, withOwner bool) string {
	shown := key
	if escape {
		shown = strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
	}
	v := listedVersion{
		Key: shown, LastModified: e.Modified, ETag: `"` + e.ETag.String() + `"`, ChecksumAlgorithm: string(e.Algorithm),
		ChecksumType: string(e.ChecksumType), Size: e.Size, StorageClass: e.StorageClass,
	}
	if withOwner {
		v.Owner = &listedOwner{e.Owner}
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		if err := l.object(t.Context(), []byte(key), &e); err != nil {
			t.Fatal(err)
		}
		return encoded(t, &listedPage{Contents: []listedObject{{
			v.Key, v.LastModified, v.ETag, v.ChecksumAlgorithm, v.ChecksumType, v.Size, v.StorageClass, v.Owner,
		}}})
	case 1:
		v.VersionId, v.IsLatest = "null", rapid.Bool().Draw(t, "latest")
	}
	return drawnVersion(t, l, key, e, &v)
}

func drawnVersion(t *rapid.T, l *lines, key string, e object.Entry, v *listedVersion) string {
	x := object.VersionEntry{Entry: e, Latest: v.IsLatest, DeleteMarker: v.VersionId == ""}
	v.VersionId = string(x.AppendID(nil))
	if err := l.version(t.Context(), []byte(key), &x); err != nil {
		t.Fatal(err)
	}
	if x.DeleteMarker {
		return encoded(t, &listedPage{DeleteMarker: []listedMarker{{
			v.Key, v.VersionId, v.IsLatest, v.LastModified, v.Owner,
		}}})
	}
	return encoded(t, &listedPage{Version: []listedVersion{*v}})
}

// TestLinesTakeNoMemory: a page in pooled memory has no allocation for each of its lines.
func TestLinesTakeNoMemory(t *testing.T) {
	a := &API{}
	e := object.Entry{Size: 1024, Modified: time.UnixMicro(1.7e15).UTC(), StorageClass: "STANDARD", Owner: "1"}
	key := []byte(fmt.Sprintf("some/usual/key/%d <é>", 1))
	page := func() {
		l := a.newLines("", true)
		l.owners.remember("1", "1")
		for range 1000 {
			if err := l.object(t.Context(), key, &e); err != nil {
				t.Fatal(err)
			}
		}
		l.to.Release()
	}
	if n := testing.AllocsPerRun(20, page); n > 20 {
		t.Errorf("%.0f allocations", n)
	}
}
