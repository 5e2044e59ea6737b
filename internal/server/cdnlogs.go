package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/accesslog"
	"watertight/internal/edge/origin"
	"watertight/internal/edge/remote"
)

// logDelivery is the service principal that puts access logs into buckets. Only the bucket's
// policy can allow it.
const logDelivery = "delivery.logs.amazonaws.com"

// DeliverAccessLogs delivers the CDN's access logs now.
func (s *Server) DeliverAccessLogs(ctx context.Context) {
	if s.edge != nil {
		s.edge.logs.Flush(ctx)
	}
}

// putLog puts a file of an access log into a bucket.
type putLog func(ctx context.Context, bucket string, f accesslog.File) (*http.Response, error)

// putLog puts a file through the pipeline that every request goes through.
func (s *Server) putLog(ctx context.Context, bucket string, f accesslog.File) (*http.Response, error) {
	r := (&http.Request{
		Method: http.MethodPut, URL: &url.URL{Scheme: "https", Host: bucket, Path: "/" + f.Name}, Host: bucket,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/x-gzip"}},
		Body:   io.NopCloser(bytes.NewReader(f.Data)), ContentLength: int64(len(f.Data)),
	}).WithContext(ctx)
	return s.origins.send(ctx, bucket, r, origin.Sender{
		Signs: true, SourceARN: f.Site.ARN(), SourceAccount: f.Site.Account,
	}, logDelivery)
}

// putLogTo puts files by the credential of an edge on another machine.
func putLogTo(store *remote.Store) putLog {
	return func(ctx context.Context, bucket string, f accesslog.File) (*http.Response, error) {
		return store.PutLog(ctx, bucket, f.Name, f.Data, f.Site.ID)
	}
}

// deliverLog returns a function that puts a file of an access log into the bucket of its
// distribution.
func (s *Server) deliverLog(put putLog) func(context.Context, accesslog.File) error {
	return func(ctx context.Context, f accesslog.File) error {
		bucket, ok := distribution.BucketOf(f.Site.Config.Logging.Bucket, s.config.Domains)
		if !ok {
			return errors.New("the logging bucket's name is not that of a bucket of this store")
		}
		resp, err := put(ctx, bucket, f)
		if err != nil {
			return err
		}
		return delivered(resp)
	}
}

// delivered reads a bucket's answer to a file.
func delivered(resp *http.Response) error {
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return err
	}
	code := ""
	if m := regexp.MustCompile(`<Code>(\w+)</Code>`).FindSubmatch(text); m != nil {
		code = string(m[1])
	}
	return fmt.Errorf("the bucket answered %d %s", resp.StatusCode, code)
}
