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
)

// logDelivery is the service principal that puts access logs into buckets. The bucket's
// policy must let it: nothing else does.
const logDelivery = "delivery.logs.amazonaws.com"

// DeliverAccessLogs delivers the CDN's access logs now.
func (s *Server) DeliverAccessLogs(ctx context.Context) {
	if s.edge != nil {
		s.edge.logs.Flush(ctx)
	}
}

// deliverLog puts a file of an access log into its bucket, through the pipeline that every
// request goes through.
func (s *Server) deliverLog(ctx context.Context, f accesslog.File) error {
	bucket, ok := distribution.BucketOf(f.Site.Config.Logging.Bucket, s.config.Domains)
	if !ok {
		return errors.New("the logging bucket's name is not that of a bucket of this store")
	}
	r := (&http.Request{
		Method: http.MethodPut, URL: &url.URL{Scheme: "https", Host: bucket, Path: "/" + f.Name}, Host: bucket,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/x-gzip"}},
		Body:   io.NopCloser(bytes.NewReader(f.Data)), ContentLength: int64(len(f.Data)),
	}).WithContext(ctx)
	resp, err := s.origins.send(ctx, bucket, r, origin.Sender{
		Signs: true, SourceARN: f.Site.ARN(), SourceAccount: f.Site.Account,
	}, logDelivery)
	if err != nil {
		return err
	}
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
