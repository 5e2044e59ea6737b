package xmldoc

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/gateway/dialect"
)

type listShape struct {
	Name    string `emit:"always"`
	Lines   *Elements
	Last    []string `xml:"Last"`
	Another int
}

// TestDocumentWithElements: elements stand where their member is, whatever number of chunks they
// fill.
func TestDocumentWithElements(t *testing.T) {
	d, err := Compile("L", "", dialect.Fields(reflect.TypeFor[listShape]()))
	if err != nil {
		t.Fatal(err)
	}
	var pool Chunks
	rapid.Check(t, func(t *rapid.T) {
		v := listShape{Name: "<n>", Last: []string{"z"}, Another: 1}
		lines := ""
		if rapid.Bool().Draw(t, "some") {
			v.Lines = pool.Elements()
			for range rapid.IntRange(0, 5).Draw(t, "lines") {
				size := rapid.SampledFrom([]int{0, 1, 40_000, chunkSize, 100_000}).Draw(t, "size")
				line := "<A>" + strings.Repeat("x", size)
				v.Lines.Keep(append(v.Lines.Room(len(line)), line...))
				lines += line
			}
		}
		b := []byte("old ")[:0]
		e := d.Encode(&b, reflect.ValueOf(&v).Elem())
		var got bytes.Buffer
		n, err := e.WriteTo(&got)
		want := Declaration + "<L><Name>&lt;n&gt;</Name>" + lines + "<Last>z</Last><Another>1</Another></L>"
		if err != nil || n != int64(e.Len()) || got.String() != want {
			t.Fatalf("%d %v %.200s, want %.200s", n, err, got.String(), want)
		}
		e.Release()
	})
}

func TestElementsInTheWrongPlace(t *testing.T) {
	for name, shape := range map[string]reflect.Type{
		"below another element": reflect.TypeFor[struct{ In struct{ Lines *Elements } }](),
		"twice":                 reflect.TypeFor[struct{ A, B *Elements }](),
		"in a list":             reflect.TypeFor[struct{ In []struct{ Lines *Elements } }](),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Compile("L", "", dialect.Fields(shape)); err == nil {
				t.Error("it compiles")
			}
		})
	}
}

// TestStamps: times are written as elements of shapes have them, whatever the time before was.
func TestStamps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Stamps
		base := rapid.Int64Range(-1e18, 9e18).Draw(t, "base")
		for range 20 {
			at := base + rapid.OneOf(
				rapid.Int64Range(-2e9, 2e9), rapid.Int64Range(-2e14, 2e14), rapid.Int64Range(-1e17, 1e17),
			).Draw(t, "after")
			if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
				at = rapid.Int64().Draw(t, "at")
			}
			when := time.UnixMicro(at)
			if got, want := string(s.Append([]byte("x"), when)), "x"+when.UTC().Format(stampFormat); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	})
}
