package format

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

var update = flag.Bool("update", false, "write the data directory in testdata anew")

// present is the version that this program writes.
const present = 4

// golden returns a data directory and its root key, as a program of a version wrote them:
// the first one of version 2, and the last one of version 3.
func golden(version int) string { return fmt.Sprintf("testdata/version%d.tar.gz", version) }

func serve(t *testing.T, dir string) *harness.Server {
	t.Helper()
	return harness.Start(t, func(c *server.Config) {
		c.Data, c.RootKey = filepath.Join(dir, "data"), "file:"+filepath.Join(dir, "root.key")
		c.Root.AccountID, c.TLS.SelfSigned, c.AllowCustomerKeys = account, true, true
		c.AlarmWindow, c.AlarmOverwrites, c.FreezeOnAlarm = time.Hour, 3, true
	})
}

func check(t *testing.T, dir string, all []*kind) {
	t.Helper()
	data := filepath.Join(dir, "data")
	checkAs(t, dir, all, present, keyring(t, data, fromFile(t, filepath.Join(dir, "root.key"))))
}

// checkAs compares a directory with the page, and what is in it with what was put there.
func checkAs(t *testing.T, dir string, all []*kind, format byte, root []generation) {
	t.Helper()
	d := readDirectory(t, filepath.Join(dir, "data"), format, root)
	d.sealedFile("tls/self-signed")
	checkRecords(t, d, all)
	for key, want := range map[string][]byte{"inline": inline(), "large": large(), "customer": inline()} {
		if got := d.object(box, key); !bytes.Equal(got, want) {
			t.Errorf("the bytes of %s differ (%d bytes)", key, len(got))
		}
	}
}

// TestEveryByte: everything that a server writes to the disk is as docs/FORMAT.md says: files, keys, seals,
// records and their fields.
func TestEveryByte(t *testing.T) {
	dir, all := t.TempDir(), page(t)
	s := serve(t, dir)
	c := clients(t, s)
	c.all()
	if *update {
		time.Sleep(7 * time.Second) // last uses are written every five
	} else {
		c.rolledBack()
	}
	s.Stop()
	check(t, dir, all)
	seenKeys(t, all)
	d := readDirectory(t, filepath.Join(dir, "data"), present,
		keyring(t, filepath.Join(dir, "data"), fromFile(t, filepath.Join(dir, "root.key"))))
	checkEncrypted(d)
	if !*update {
		checkShared(d)
	}
	if *update {
		pack(t, dir)
	}
}

// TestPassphrase: the root key depends only on the passphrase and the keyring.
func TestPassphrase(t *testing.T) {
	const phrase = "a passphrase that is long enough"
	s := harness.Start(t, func(c *server.Config) {
		c.RootKey, c.Getenv = "passphrase:", func(string) string { return phrase }
	})
	s.Stop()
	d := readDirectory(t, s.Data, present, keyring(t, s.Data, fromPassphrase(t, phrase)))
	checkRecords(t, d, page(t))
}

// TestGoldenDirectories: a directory that an earlier program wrote agrees with the page. This program
// migrates it and serves everything in it, and afterwards it still agrees. Every kind of record that the page
// names occurs.
func TestGoldenDirectories(t *testing.T) {
	for version := 2; version <= present; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dir, all := t.TempDir(), page(t)
			unpack(t, dir, version)
			root := []generation{{1, keyFile(t, filepath.Join(dir, "root.key"))}}
			if version > 2 {
				root = keyring(t, filepath.Join(dir, "data"), fromFile(t, filepath.Join(dir, "root.key")))
			}
			checkAs(t, dir, all, byte(version), root)
			seenGolden(t, all)
			s := serve(t, dir)
			served(t, s)
			s.Stop()
			check(t, dir, all)
			after := keyring(t, filepath.Join(dir, "data"), fromFile(t, filepath.Join(dir, "root.key")))
			if len(after) != 1 || after[0].number != 1 || !bytes.Equal(after[0].key, root[0].key) {
				t.Errorf("the root key is not generation 1: %d generations", len(after))
			}
		})
	}
}

// seenGolden checks that a directory of populate has every kind of record.
func seenGolden(t *testing.T, all []*kind) {
	t.Helper()
	// A rollback; deleted versions of many parts; a device that has an owner; tokens; keys of
	// KMS; a rotation; lifecycle, which programs of version 2 did not have; frozen principals;
	// the instant of locks; the CDN; segments.
	rare := []string{"e/", "g/", "i/w/", "i/y/", "k/", "w", "s/ID/lifecycle", "l/", "f/", "z/", "x/", "t/"}
	for _, k := range all {
		unseen := k.seen == 0
		for _, prefix := range rare {
			unseen = unseen && !strings.HasPrefix(k.text, prefix)
		}
		if unseen {
			t.Errorf("no record is like %s: extend populate and write the directory again", k.text)
		}
	}
}

// served reads everything that populate wrote.
func served(t *testing.T, s *harness.Server) {
	t.Helper()
	ctx, c := t.Context(), s.S3
	key, sum := customersKey()
	for name, want := range map[string][]byte{
		"inline": inline(), "large": large(), "customer": inline(), "parts": large(),
		"null": []byte("a version over the null one"),
	} {
		in := &s3.GetObjectInput{Bucket: aws.String(box), Key: &name}
		if name == "customer" {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), aws.String(
				base64.StdEncoding.EncodeToString([]byte(key)),
			), &sum
		}
		out, err := c.GetObject(ctx, in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if name == "inline" &&
			(aws.ToString(out.ContentType) != "text/plain" || out.Metadata["k"] != "v" ||
				aws.ToInt32(out.TagCount) != 1) {
			t.Errorf("%s: %+v", name, out)
		}
	}
	versions := must[*s3.ListObjectVersionsOutput](t)(c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{
		Bucket: aws.String(box),
	}))
	if len(versions.Versions) != 7 || len(versions.DeleteMarkers) != 1 {
		t.Errorf("%d versions, %d delete markers", len(versions.Versions), len(versions.DeleteMarkers))
	}
	uploads := must[*s3.ListMultipartUploadsOutput](t)(c.ListMultipartUploads(ctx,
		&s3.ListMultipartUploadsInput{Bucket: aws.String(box)}))
	if len(uploads.Uploads) != 1 || *uploads.Uploads[0].Key != "pending" {
		t.Errorf("uploads: %+v", uploads.Uploads)
	}
	must[*s3.GetBucketCorsOutput](t)(c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: aws.String(box)}))
	must[*s3.GetBucketTaggingOutput](t)(c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: aws.String(box)}))
	policy := must[*s3.GetBucketPolicyOutput](t)(c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{
		Bucket: aws.String(box),
	}))
	if !strings.Contains(*policy.Policy, "user/staff/ada") {
		t.Errorf("the policy names %s", *policy.Policy)
	}
	details := must[*iam.GetAccountAuthorizationDetailsOutput](t)(clients(t, s).iam.GetAccountAuthorizationDetails(ctx,
		&iam.GetAccountAuthorizationDetailsInput{}))
	if len(details.UserDetailList) != 1 || len(details.GroupDetailList) != 1 || len(details.RoleDetailList) != 1 ||
		len(details.UserDetailList[0].GroupList) != 1 {
		t.Errorf("identities: %+v", details)
	}
}

// pack writes a data directory and its root key into testdata.
func pack(t *testing.T, dir string) {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(dir, path)
		if err = errors.Join(err, rerr); err != nil || e.Name() == "reserve" {
			return err
		}
		if !e.IsDir() && !e.Type().IsRegular() || strings.HasPrefix(rel, "data/reserve") {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		h := &tar.Header{Name: rel, Mode: int64(info.Mode().Perm()), Typeflag: tar.TypeDir}
		var text []byte
		if !e.IsDir() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
			h.Typeflag, h.Size = tar.TypeReg, int64(len(text))
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
	if err = errors.Join(err, w.Close(), z.Close()); err == nil {
		err = os.WriteFile(golden(present), buf.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unpack extracts the directory in testdata.
func unpack(t *testing.T, dir string, version int) {
	t.Helper()
	f, err := os.Open(golden(version))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else if text, rerr := io.ReadAll(r); rerr != nil {
			err = rerr
		} else {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
