package object

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// tables finds damaged files of the metadata on the disk. The other steps can't find them
// all, because their reads may be served from the store's cache.
func (c *scrubber) tables(ctx context.Context) error {
	store, ok := c.o.store.(kv.Verified)
	if !ok {
		return nil
	}
	return store.VerifyTables(ctx, func(n int64) error {
		c.done.Bytes += n
		return c.pace.Wait(ctx, n)
	}, func(file string, why error) error {
		return c.tell(&Finding{Problem: BadTable, File: file, Detail: oneLine(why)})
	})
}

// references finds references of blobs to records that do not exist. While versions are
// being erased, such references are expected.
func (c *scrubber) references(ctx context.Context) error {
	return c.walk(ctx, blobPrefix, func(r kv.Reader, k, value []byte) (int, error) {
		if at, err := r.Get(value); at != nil || err != nil {
			return 0, nil // a record that can't be read was reported by the step that reads it
		}
		for range r.Scan([]byte(trashPrefix), record.After([]byte(trashPrefix))) {
			return 0, nil
		}
		c.find(c.named(r, value, Finding{
			Problem: Missing, Blob: string(k[len(blobPrefix):]), Detail: "the blob has a reference but no record",
		}))
		return 0, nil
	}, nil)
}

// shares finds counts of shared payloads that are not the number of the versions that
// have them.
func (c *scrubber) shares(ctx context.Context) error {
	return c.walk(ctx, sharePrefix, func(r kv.Reader, k, value []byte) (int, error) {
		h, err := decodeShare(value)
		if err != nil {
			c.find(Finding{Problem: BadRecord, Detail: fmt.Sprintf("the record %q: %s", k, oneLine(err))})
			return 0, nil
		}
		of, n := slot{&bucket.Bucket{ID: h.id}, h.key}.versions(), uint64(0)
		for p, err := range r.Scan(of, record.After(of)) {
			if err != nil {
				return 0, nil // it was found where it lies
			}
			v, err := decodeVersion(p.Value)
			if err == nil && v.shared && string(shareKey(v.payloadUnique())) == string(k) {
				n++
			}
		}
		if n != h.count {
			c.find(Finding{
				Problem: BadRecord, Bucket: c.bucketName(r, string(h.id[:])), Key: h.key,
				Detail: fmt.Sprintf("%d versions have a payload that %d are said to share", n, h.count),
			})
		}
		return 0, nil
	}, nil)
}

// oneLine returns the text of an error as one line: that of its cause, without the sentence
// for clients of S3.
func oneLine(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Err != nil {
		err = f.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// blobs finds blobs that no record refers to.
func (c *scrubber) blobs(ctx context.Context) error {
	live := func(ctx context.Context, names []string) ([]bool, error) { return referenced(ctx, c.o.store, names) }
	var stray []string
	more := 0
	for name, err := range c.o.bytes.Unreferenced(ctx, live, &c.done.Blobs) {
		if err != nil {
			return err
		}
		if len(stray) == maxStray {
			more++
			continue
		}
		stray = append(stray, name)
	}
	const looks = 3
	for range looks {
		if len(stray) == 0 {
			break
		}
		if err := sleep(ctx, c.in.Again); err != nil {
			return err
		}
		var err error
		if stray, err = c.stillStray(ctx, stray, live); err != nil {
			return err
		}
	}
	for _, name := range stray {
		f := Finding{Problem: Orphan, Blob: name, Detail: "no record points at it; the sweeper sets it aside for a day"}
		if err := c.tell(&f); err != nil {
			return err
		}
	}
	if more > 0 {
		f := Finding{Problem: Orphan, Detail: fmt.Sprintf("at least %d more blobs have no record", more)}
		return c.tell(&f)
	}
	return nil
}

func (c *scrubber) stillStray(ctx context.Context, names []string, live payload.Live) (stray []string, err error) {
	for _, name := range names {
		there, err := c.o.bytes.Present(name)
		if err != nil {
			return nil, err
		}
		alive, err := live(ctx, []string{name})
		if err != nil {
			return nil, err
		}
		if there && !alive[0] {
			stray = append(stray, name)
		}
	}
	return stray, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
