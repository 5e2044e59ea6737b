package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkkms "github.com/aws/aws-sdk-go-v2/service/kms"

	"watertight/internal/operator"
	"watertight/test/bench/fleet"
	"watertight/test/bench/load"
)

// versionsToMove is the number of versions that one pass of the line for rewrapping moves,
// and passes the number of passes.
const (
	versionsToMove = 20000
	passes         = 3
)

// ownServer starts our server alone, over plain HTTP, in a folder that stop removes.
func ownServer(o options, secure *fleet.TLS, args ...string) (s *fleet.Server, stop func() error, err error) {
	dir, err := os.MkdirTemp(o.dir, "watertight-bench-")
	if err != nil {
		return nil, nil, err
	}
	spec := o.specs[0]
	spec.Child = append(append([]string(nil), spec.Child...), args...)
	s, err = fleet.Start(spec, filepath.Join(dir, spec.Name), rootCredentials(), secure)
	if err == nil {
		err = makeBucket(s)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Stop(), os.RemoveAll(dir))
	}
	return s, func() error { return errors.Join(s.Stop(), os.RemoveAll(dir)) }, nil
}

// rewrap measures how fast the operator's command moves versions of 1 KiB to the newest
// material of their key: all versions of a bucket, after each rotation.
func rewrap(o options) (err error) {
	s, stop, err := ownServer(o, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	ctx := context.Background()
	endpoint := "http://" + s.Target.Address
	keys := sdkkms.New(sdkkms.Options{
		BaseEndpoint: &endpoint, Region: region, HTTPClient: &http.Client{Transport: &http.Transport{}},
		Credentials: credentials.NewStaticCredentialsProvider(benchKey, benchSecret, ""),
	})
	made, err := keys.CreateKey(ctx, &sdkkms.CreateKeyInput{})
	if err != nil {
		return err
	}
	id := aws.ToString(made.KeyMetadata.KeyId)
	l := newLane(s, cell{name: "rewrap", size: 1 << 10, variant: kms}, o.clients[0], nil)
	l.headers = []load.Header{
		{Name: "x-amz-server-side-encryption", Value: "aws:kms"},
		{Name: "x-amz-server-side-encryption-aws-kms-key-id", Value: id},
		{Name: "x-amz-server-side-encryption-bucket-key-enabled", Value: "true"},
	}
	if err := l.fill(versionsToMove, time.Hour, random(1<<10)); err != nil {
		return err
	}
	fmt.Print("| versions | versions/s | CPU µs each | fsyncs each |\n|--:|--:|--:|--:|\n")
	for range passes {
		if _, err := keys.RotateKeyOnDemand(ctx, &sdkkms.RotateKeyOnDemandInput{KeyId: &id}); err != nil {
			return err
		}
		if err := move(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// move moves all versions once, and prints a row.
func move(ctx context.Context, s *fleet.Server) error {
	cpu, _, err := s.CPU()
	if err != nil {
		return err
	}
	counters, _, err := s.Counters()
	if err != nil {
		return err
	}
	start := time.Now()
	done, err := operator.Dial(filepath.Join(s.Dir, "data")).Rewrap(ctx, operator.RewrapCommand{Bucket: bucket},
		func(operator.Rewrapped) error { return nil })
	took := time.Since(start)
	if err != nil {
		return err
	}
	if done.Changed != versionsToMove || done.Failed+done.Left > 0 {
		return fmt.Errorf("re-wrapping: %+v", done)
	}
	cpuAfter, _, err := s.CPU()
	after, _, err2 := s.Counters()
	fmt.Printf("| %d | %.0f | %.1f | %.4f |\n", versionsToMove, versionsToMove/took.Seconds(),
		micros(cpuAfter-cpu)/versionsToMove, float64(after.Syncs-counters.Syncs)/versionsToMove)
	return errors.Join(err, err2)
}
