package datadir_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// keep runs a server on a data directory and a root key of the test.
func keep(t *testing.T, data, key string, use func(*harness.Server)) {
	t.Helper()
	s := harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = data, "file:"+key })
	use(s)
	s.Stop()
}

func body(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 100<<10+n) }

func putObjects(t *testing.T, from, to int) func(*harness.Server) {
	return func(s *harness.Server) {
		t.Helper()
		c := s.S3
		if from == 0 {
			if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bkt")}); err != nil {
				t.Fatal(err)
			}
		}
		for i := from; i < to; i++ {
			if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("bkt"), Key: aws.String(fmt.Sprint(i)), Body: bytes.NewReader(body(i)),
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func getObjects(t *testing.T, n int) func(*harness.Server) {
	return func(s *harness.Server) {
		t.Helper()
		for i := range n {
			out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
				Bucket: aws.String("bkt"), Key: aws.String(fmt.Sprint(i)),
			})
			if err != nil {
				t.Errorf("object %d: %v", i, err)
				continue
			}
			got, err := io.ReadAll(out.Body)
			out.Body.Close()
			if err != nil || !bytes.Equal(got, body(i)) {
				t.Errorf("object %d: %d bytes, %v", i, len(got), err)
			}
		}
	}
}

// everything returns the names, modes, times and content of all files below dir.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var text []byte
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		out[path] = fmt.Sprintf("%v %v %x", info.Mode(), info.ModTime(), sha256.Sum256(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func differences(before, after map[string]string) (out []string) {
	for k := range maps.Keys(before) {
		if before[k] != after[k] {
			out = append(out, k)
		}
	}
	for k := range after {
		if _, ok := before[k]; !ok {
			out = append(out, k+" is new")
		}
	}
	return out
}

// replace puts copies of folders of one data directory into another.
func replace(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(to, n)); err != nil {
			t.Fatal(err)
		}
		if from == "" {
			continue
		}
		if err := os.CopyFS(filepath.Join(to, n), os.DirFS(filepath.Join(from, n))); err != nil {
			t.Fatal(err)
		}
	}
}

func empty(t *testing.T, data string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := errors.Join(os.RemoveAll(filepath.Join(data, n)),
			os.Mkdir(filepath.Join(data, n), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMarkersOfNoStore: a marker beside missing metadata means that a store is
// missing, even if it held only small objects. A marker that an unfinished first
// start left does not stop the next start.
func TestMarkersOfNoStore(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "root.key")
	for _, begun := range []bool{false, true} {
		t.Run(fmt.Sprint(begun), func(t *testing.T) {
			data := filepath.Join(dir, fmt.Sprint("data", begun))
			keep(t, data, key, func(*harness.Server) {})
			aside := filepath.Join(dir, fmt.Sprint("aside", begun))
			replace(t, data, aside, "meta", "audit")
			replace(t, "", data, "meta", "audit")
			if begun {
				empty(t, data, "meta.new")
			}
			before := everything(t, data)
			s, err := harness.Try(t, func(sc *server.Config) { sc.Data, sc.RootKey = data, "file:"+key })
			if err == nil {
				s.Stop()
			}
			if begun {
				if err != nil {
					t.Errorf("after a first start that did not end: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "Nothing was changed") {
				t.Errorf("a store whose metadata and log are missing: %v", err)
			}
			if d := differences(before, everything(t, data)); len(d) > 0 {
				t.Errorf("changed: %v", d)
			}
			replace(t, aside, data, "meta", "audit")
			keep(t, data, key, func(*harness.Server) {})
		})
	}
}

// TestStrangeDataIsLeftAlone: if a part is missing, empty, older or another store's, the start is refused
// and no byte is changed. With the right parts again, all data is readable.
func TestStrangeDataIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	data, key, older, other := filepath.Join(dir, "data"), filepath.Join(dir,
		"root.key"), filepath.Join(dir, "older"), filepath.Join(dir, "other")
	parts := []string{"meta", "audit", "blobs"}
	keep(t, data, key, putObjects(t, 0, 2))
	replace(t, data, older, parts...)
	keep(t, data, key, putObjects(t, 2, 4))
	keep(t, other, key, putObjects(t, 0, 1))
	good := filepath.Join(dir, "good")
	replace(t, data, good, parts...)
	stranger := filepath.Join(dir, "stranger.key")
	keep(t, filepath.Join(dir, "third"), stranger, func(*harness.Server) {})

	rm := func(pattern string) func() {
		return func() {
			all, err := filepath.Glob(filepath.Join(data, pattern))
			if len(all) == 0 || err != nil {
				t.Fatal("no", pattern, err)
			}
			for _, path := range all {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		change func()
		key    string
	}{
		"metadata missing":                    {func() { replace(t, "", data, "meta") }, key},
		"metadata empty":                      {func() { empty(t, data, "meta") }, key},
		"metadata and audit log missing":      {func() { replace(t, "", data, "meta", "audit") }, key},
		"metadata and audit log empty":        {func() { empty(t, data, "meta", "audit") }, key},
		"metadata and blobs empty":            {func() { empty(t, data, "meta", "blobs") }, key},
		"audit log missing":                   {func() { replace(t, "", data, "audit") }, key},
		"audit log empty":                     {func() { empty(t, data, "audit") }, key},
		"blobs missing":                       {func() { replace(t, "", data, "blobs") }, key},
		"blobs empty":                         {func() { empty(t, data, "blobs") }, key},
		"a folder of blobs missing":           {rm("blobs/7f"), key},
		"older metadata":                      {func() { replace(t, older, data, "meta") }, key},
		"older metadata and audit log":        {func() { replace(t, older, data, "meta", "audit") }, key},
		"metadata of another store":           {func() { replace(t, other, data, "meta") }, key},
		"metadata and audit log of another":   {func() { replace(t, other, data, "meta", "audit") }, key},
		"older blobs":                         {func() { replace(t, older, data, "blobs") }, key},
		"blobs of another store":              {func() { replace(t, other, data, "blobs") }, key},
		"another root key":                    {func() {}, stranger},
		"a root key that is not there":        {func() {}, filepath.Join(dir, "none.key")},
		"the engine's marker missing":         {rm("meta/marker.manifest.*"), key},
		"the engine's format missing":         {rm("meta/marker.format-version.*"), key},
		"the engine's manifest missing":       {rm("meta/MANIFEST-*"), key},
		"the engine's log missing":            {rm("meta/*.log"), key},
		"the marker of the blobs missing":     {rm("blobs/store.id"), key},
		"the marker of the audit log missing": {rm("audit/store.id"), key},
		"the marker of the blobs of other blobs": {func() {
			copyFile(t, filepath.Join(other, "blobs/store.id"),
				filepath.Join(data, "blobs/store.id"))
		}, key},
	} {
		t.Run(name, func(t *testing.T) {
			replace(t, good, data, parts...)
			c.change()
			before := everything(t, data)
			s, err := harness.Try(t, func(sc *server.Config) { sc.Data, sc.RootKey = data, "file:"+c.key })
			if err == nil {
				s.Stop()
				t.Error("the server starts")
			} else if c.key != filepath.Join(dir, "none.key") && !strings.Contains(err.Error(), "Nothing was changed") {
				t.Errorf("the operator reads %v", err)
			}
			if d := differences(before, everything(t, data)); len(d) > 0 {
				t.Errorf("changed: %v (%v)", d, err)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "none.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a root key was made for a store that has one")
	}
	replace(t, good, data, parts...)
	keep(t, data, key, getObjects(t, 4))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
