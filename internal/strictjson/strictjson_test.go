package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for document, ok := range map[string]bool{
		`{}`: true, ` {"a":1,"A":2} `: true, `{"a":{"b":1},"c":{"b":1}}`: true,
		`{"a":[{"b":1},{"b":1},"a","a"]}`: true, `{"a":"a","b":"a"}`: true,
		`{"a":[[[1]]]}`: true, `{"":1}`: true, `{"a":"\ud83d\ude00"}`: true,

		``: false, `[]`: false, `1`: false, `null`: false, `"a"`: false, `{}{}`: false, `{} x`: false,
		`{"a":1,}`: false, `{'a':1}`: false, `{"a":01}`: false,
		`{"a":1,"a":2}`: false, `{"a":1,"\u0061":2}`: false, `{"x":[{"a":1,"b":[],"a":2}]}`: false,
		`{"x":{"y":{"a":1,"a":1}}}`: false,
		"{\"a\":\"\xff\"}":          false, "{\"\xff\":1}": false, `{"a":"\ud800"}`: false, `{"\ud800":1}`: false,
		`{"a":[[[[1]]]]}`: false, `{"a":{"b":{"c":{"d":{}}}}}`: false,
		`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`: false,
	} {
		t.Run(fmt.Sprintf("%.60s", document), func(t *testing.T) {
			if o, err := Read([]byte(document), 4); ok != (err == nil) || !ok && o != nil {
				t.Errorf("%.60s: %v, %v", document, o, err)
			}
		})
	}
	o, err := Read([]byte(`{"sub":"a","SUB":"b","list":["x",1],"deep":{"Sub":null}}`), 4)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := o.Text("sub"); s != "a" || err != nil {
		t.Error(s, err)
	}
	if s, err := o.Text("Sub"); s != "" || err != nil {
		t.Error("case does not count:", s, err)
	}
	if _, err := o.Text("list"); err == nil {
		t.Error("a list was accepted as text")
	}
	if items, err := Items(o["list"]); err != nil || len(items) != 2 {
		t.Error(items, err)
	}
	if m, err := Members(o["deep"]); err != nil || len(m) != 1 {
		t.Error(m, err)
	}
	for _, v := range []Value{o["sub"], o["deep"]} {
		if _, err := Items(v); err == nil {
			t.Errorf("%s was accepted as a list", v)
		}
	}
	if _, err := Members(Value("null")); err == nil {
		t.Error("null was accepted as an object")
	}
}

// FuzzRead: Read returns the same as any other parser, whichever of two equal names that parser uses.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":{"a":[{"x":1}]}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"A":1,"a":[[[[]]]]}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Read(b, 4)
		if err != nil {
			return
		}
		var whole map[string]any
		if err := json.Unmarshal(b, &whole); err != nil || len(whole) != len(o) {
			t.Fatalf("%q: %v", b, err)
		}
		for name, v := range o {
			var one any
			if err := json.Unmarshal(v, &one); err != nil || !reflect.DeepEqual(one, whole[name]) {
				t.Fatalf("%q: %v", b, err)
			}
		}
	})
}
