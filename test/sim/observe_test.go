package sim

import (
	"context"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/core/bucket"
	"watertight/test/s3model"
)

// observed is everything that a server returns about the keys of one writer.
type observed struct {
	state    bucket.Versioning
	versions map[string][]s3model.Version // newest first, markers apart
	markers  map[string][]string          // ids, newest first
	latest   map[string]string            // id
	uploads  map[string]string            // keys by id
	client   *s3.Client
	bucket   string
}

// observe lists and reads everything.
func observe(ctx context.Context, client *s3.Client, bucketName, prefix string) (*observed, error) {
	o := &observed{
		versions: map[string][]s3model.Version{}, markers: map[string][]string{}, latest: map[string]string{},
		uploads: map[string]string{},
		client:  client, bucket: bucketName,
	}
	out, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &bucketName})
	if err != nil {
		return nil, err
	}
	o.state = map[string]bucket.Versioning{
		"": bucket.Off, "Enabled": bucket.Enabled, "Suspended": bucket.Suspended,
	}[string(out.Status)]
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{
		Bucket: &bucketName, Prefix: &prefix, MaxKeys: aws.Int32(50),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range page.DeleteMarkers {
			o.markers[*m.Key] = append(o.markers[*m.Key], *m.VersionId)
			o.isLatest(*m.Key, *m.VersionId, *m.IsLatest)
		}
		for _, l := range page.Versions {
			in := &s3.GetObjectInput{Bucket: &bucketName, Key: l.Key, VersionId: l.VersionId}
			v, err := read(ctx, client, in)
			if codeOf(err) == "InvalidRequest" { // it is under SSE-C
				in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(true)
				v, err = read(ctx, client, in)
			}
			if err != nil {
				return nil, fmt.Errorf("%q version %s is listed and can't be read: %w", *l.Key, *l.VersionId, err)
			}
			if v.ETag != trim(l.ETag) || v.Size != *l.Size {
				return nil, wrong("%q version %s: listed with %s and %d bytes, read with %s and %d", *l.Key,
					*l.VersionId, trim(l.ETag), *l.Size, v.ETag, v.Size)
			}
			v.ID = *l.VersionId
			o.versions[*l.Key] = append(o.versions[*l.Key], v)
			o.isLatest(*l.Key, v.ID, *l.IsLatest)
		}
	}
	ups := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{
		Bucket: &bucketName, Prefix: &prefix, MaxUploads: aws.Int32(3),
	})
	for ups.HasMorePages() {
		page, err := ups.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, u := range page.Uploads {
			o.uploads[*u.UploadId] = *u.Key
		}
	}
	return o, nil
}

func (o *observed) isLatest(key, id string, latest bool) {
	if latest {
		o.latest[key] += id // two of them are none
	}
}

// rows counts versions and markers.
func (o *observed) rows() (n int) {
	for _, v := range o.versions {
		n += len(v)
	}
	for _, m := range o.markers {
		n += len(m)
	}
	return n
}

// is compares the observation with a state, and fills in the state's unknown ids. The error says what
// differs.
func (o *observed) is(ctx context.Context, s *state) error {
	if o.state != s.State {
		return wrong("versioning is %d, want %d", o.state, s.State)
	}
	keys := maps.Clone(o.latest)
	for key := range s.Keys {
		keys[key] = ""
	}
	for key := range keys {
		if err := o.same(key, s.Keys[key]); err != nil {
			return err
		}
	}
	for id, key := range o.uploads {
		if u := s.uploads[unknown]; s.uploads[id] == nil && u != nil && u.key == key {
			s.uploads[id] = u
			delete(s.uploads, unknown)
		}
		u := s.uploads[id]
		if u == nil || u.key != key {
			return wrong("an upload of %q nobody began or that ended", key)
		}
		if err := u.holds(ctx, o.client, o.bucket, id); err != nil {
			return err
		}
	}
	if len(o.uploads) != len(s.uploads) {
		return wrong("%d uploads in progress, want %d", len(o.uploads), len(s.uploads))
	}
	return nil
}

// same compares the versions of one key.
func (o *observed) same(key string, want []s3model.Version) error {
	versions, markers := o.versions[key], o.markers[key]
	if len(versions)+len(markers) != len(want) {
		return wrong("%q has %d versions and %d markers, want %d in all", key, len(versions), len(markers), len(want))
	}
	for i := range want {
		w := &want[i]
		var got s3model.Version
		if w.Marker && len(markers) > 0 {
			got, markers = s3model.Version{ID: markers[0], Marker: true}, markers[1:]
		} else if !w.Marker && len(versions) > 0 {
			got, versions = versions[0], versions[1:]
		}
		if w.ID == unknown {
			w.ID = got.ID
		}
		if w.ETag == unknown {
			w.ETag = got.ETag
		}
		if got.Born, got.Payload = w.Born, w.Payload; got != *w {
			return wrong("%q has %+v, want %+v", key, got, *w)
		}
	}
	if len(want) > 0 && o.latest[key] != want[0].ID {
		return wrong("the latest of %q is %q, want %q", key, o.latest[key], want[0].ID)
	}
	return nil
}

// settle decides the outcome of a request without an answer: the server must show the
// state either without it or with it, or a promise is broken.
func (o *observed) settle(ctx context.Context, certain *state, maybe func(*state)) (*state, error) {
	without := certain.clone()
	err := o.is(ctx, without)
	if err == nil || maybe == nil {
		return without, err
	}
	with := certain.clone()
	maybe(with)
	if other := o.is(ctx, with); other != nil {
		return nil, fmt.Errorf("without the request in progress: %w; with it: %w", err, other)
	}
	return with, nil
}

// count returns how many versions and markers a bucket has.
func count(ctx context.Context, client *s3.Client, bucket string) (n int, err error) {
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		n += len(page.Versions) + len(page.DeleteMarkers)
	}
	return n, nil
}
