package power

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/storage/folder"
	"watertight/test/crashdisk"
)

// unpack returns a disk with a data directory that an older program wrote, all of it durable.
func unpack(t *testing.T, path string) *crashdisk.Disk {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	disk := crashdisk.New()
	if err := folder.Make(disk, "/srv", 0o700); err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("/srv", h.Name)
		if h.Typeflag == tar.TypeDir {
			err = folder.Make(disk, path, 0o700)
		} else if text, rerr := io.ReadAll(r); rerr != nil {
			err = rerr
		} else {
			err = folder.Replace(disk, path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return disk.Crash(rand.New(rand.NewPCG(0, 0)), crashdisk.Loss{Names: 1, Pages: 1})
}

// everything describes what a server has: buckets, versions and their bytes, users.
func everything(ctx context.Context, m *machine) (all []string, err error) {
	buckets, err := m.s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return nil, err
	}
	for _, b := range buckets.Buckets {
		all = append(all, *b.Name)
		list, err := m.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: b.Name})
		if err != nil {
			return nil, err
		}
		for _, v := range list.Versions {
			what := fmt.Sprint(*b.Name, "/", *v.Key, " ", *v.VersionId, " ", *v.ETag)
			got, err := m.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: b.Name, Key: v.Key, VersionId: v.VersionId})
			if err == nil {
				body, rerr := io.ReadAll(got.Body)
				if err := errors.Join(rerr, got.Body.Close()); err != nil {
					return nil, err
				}
				what += " " + digestOf(body)
			}
			all = append(all, what)
		}
		for _, d := range list.DeleteMarkers {
			all = append(all, fmt.Sprint(*b.Name, "/", *d.Key, " marker ", *d.VersionId))
		}
	}
	users, err := m.iam.ListUsers(ctx, &iam.ListUsersInput{})
	if err != nil {
		return nil, err
	}
	for _, u := range users.Users {
		all = append(all, aws.ToString(u.Arn))
	}
	return all, nil
}

// TestMigrationIsCutOff: a data directory of an older version loses nothing, whenever its first
// starts under this program are cut off.
func TestMigrationIsCutOff(t *testing.T) {
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))) // later than what is in it
				from := unpack(t, fmt.Sprintf("../format/testdata/version%d.tar.gz", version))
				migrated(t, from, 60)
			})
		})
	}
}

// migrated starts a server on copies of a disk, and on what cuts leave of them.
func migrated(t *testing.T, from *crashdisk.Disk, cuts int) {
	t.Helper()
	r := rand.New(rand.NewPCG(*seed, 1))
	queue := []*crashdisk.Disk{from.Crash(r, crashdisk.Loss{})} // from itself stays as it is
	var want []string
	var points []crashdisk.Point // of the cuts that led to a disk
	at := map[*crashdisk.Disk][]crashdisk.Point{}
	for examined := 0; len(queue) > 0 && examined <= cuts; examined++ {
		disk := queue[len(queue)-1]
		queue, points = queue[:len(queue)-1], at[disk]
		next := 1 + r.IntN(40)
		disk.Watch = func(p crashdisk.Point) {
			if next--; next == 0 && len(queue) < 50 {
				left := disk.Crash(r, crashdisk.AnyLoss(r))
				queue, at[left] = append(queue, left), append(slices.Clone(points), p)
				next = 1 + r.IntN(80)
			}
		}
		m, err := boot(t.Context(), disk, "file:/srv/root.key")
		if err != nil {
			t.Fatalf("after cuts at %+v it does not start: %v", points, err)
		}
		got, err := everything(t.Context(), m)
		if err := errors.Join(err, m.end()); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(want, got) {
			t.Fatalf("after cuts at %+v it has\n%v\nnot\n%v", points, got, want)
		}
		if len(queue) == 0 {
			queue = append(queue, from.Crash(r, crashdisk.Loss{}))
		}
	}
	if len(want) < 5 {
		t.Error("the fixture is nearly empty:", want)
	}
}
