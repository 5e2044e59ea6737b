package object

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/limit"
)

// TestPagesTakeTheirShare: where the memory of answers is used up, pages end early. Nothing is refused or left out, and
// what a page took is given back with its request.
func TestPagesTakeTheirShare(t *testing.T) {
	e := newEnv(t)
	const keys, parts = 60, 100
	long := func(i int) string { return fmt.Sprintf("%03d%s/x", i, strings.Repeat("k", 990)) }
	var now time.Time
	for i := range keys {
		now = e.mustPut(long(i), "text").Modified
		e.begin(UploadInput{Key: long(i)})
	}
	u := e.begin(UploadInput{Key: "parts"})
	for i := range parts {
		e.mustPart(u, i+1, "text")
	}
	g := e.grant(arn.Bucket("bkt"), "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
	mayListParts := e.grant(arn.Object("bkt", "parts"), "s3:ListMultipartUploadParts")
	// Each lister returns a page after a marker, how many entries it has, and the marker of the next page.
	of := func(delimiter string) func(context.Context, string) (int, string, error) {
		return func(ctx context.Context, after string) (int, string, error) {
			var page listing
			in := ListInput{Bucket: "bkt", After: after, Delimiter: delimiter}
			l, err := e.objects.List(ctx, g, in, page.add)
			return l.Count + len(l.CommonPrefixes), l.Next, err
		}
	}
	for _, c := range []struct {
		name string
		want int
		list func(ctx context.Context, after string) (n int, next string, err error)
	}{
		{"objects", keys, of("")},
		{"common prefixes", keys, of("/")},
		{"objects of an instant", keys, func(ctx context.Context, after string) (int, string, error) {
			var page listing
			l, err := e.objects.ListAsOf(ctx, g, ListInput{Bucket: "bkt", After: after}, now, page.add)
			return l.Count, l.Next, err
		}},
		{"versions", keys, func(ctx context.Context, after string) (int, string, error) {
			var page versionListing
			l, err := e.objects.ListVersions(ctx, g, ListVersionsInput{Bucket: "bkt", KeyMarker: after}, page.add)
			return l.Count, l.NextKey, err
		}},
		{"uploads", keys + 1, func(ctx context.Context, after string) (int, string, error) {
			l, err := e.objects.ListUploads(ctx, g, ListUploadsInput{Bucket: "bkt", KeyMarker: after})
			if !l.Truncated {
				l.NextKey = ""
			}
			return len(l.Uploads), l.NextKey, err
		}},
		{"parts", parts, func(ctx context.Context, after string) (int, string, error) {
			in := ListPartsInput{Bucket: "bkt", Key: "parts", UploadID: u.ID}
			fmt.Sscan(after, &in.After)
			l, err := e.objects.ListParts(ctx, mayListParts, in)
			if !l.Truncated {
				return len(l.Parts), "", err
			}
			return len(l.Parts), fmt.Sprint(l.Next), err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pages := func(total int64) (sizes []int) {
				memory := limit.NewMemory(total)
				for after, more := "", true; more; more = after != "" {
					held := memory.Open(nil)
					n, next, err := c.list(limit.With(t.Context(), held), after)
					if err != nil || n == 0 {
						t.Fatalf("%d entries, %v", n, err)
					}
					held.Close()
					sizes, after = append(sizes, n), next
				}
				return sizes
			}
			if got := pages(64 << 20); !slices.Equal(got, []int{c.want}) {
				t.Errorf("with room: %v", got)
			}
			got, sum := pages(1<<10), 0
			for _, n := range got {
				sum += n
			}
			if len(got) < 2 || sum != c.want {
				t.Errorf("without room: %v", got)
			}
		})
	}
}
