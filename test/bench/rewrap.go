package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"watertight/internal/operator"
)

// versionsToMove is the number of versions that one pass of the line for rewrapping moves,
// and passes the number of passes.
const (
	versionsToMove = 20000
	passes         = 3
)

// rewrap measures how fast the operator's command moves versions of 1 KiB to the newest
// material of their key: all versions of a bucket, after each rotation.
func (b *bench) rewrap(data, only string) error {
	const name = "re-wrap of a version"
	if !strings.Contains(name, only) {
		return nil
	}
	ctx := context.Background()
	keys := kms.New(kms.Options{
		BaseEndpoint: &b.client.endpoint, Region: "us-east-1", HTTPClient: b.client.http,
		Credentials: credentials.NewStaticCredentialsProvider(benchKey, benchSecret, ""),
	})
	made, err := keys.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	if err := b.client.do("PUT", "/rewrap", nil, nil, nil); err != nil {
		return err
	}
	p := newPayload(1 << 10)
	_, err = b.drive(versionsToMove, time.Hour, func(n int) error {
		return b.client.send("PUT", fmt.Sprintf("/rewrap/%d", n), nil, map[string]string{
			"X-Amz-Server-Side-Encryption":                    "aws:kms",
			"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id":     aws.ToString(made.KeyMetadata.KeyId),
			"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
		}, p, nil)
	})
	for pass := 0; pass < passes && err == nil; pass++ {
		_, err = keys.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: made.KeyMetadata.KeyId})
		if err == nil {
			err = b.move(ctx, name, data)
		}
	}
	return err
}

// move moves all versions once, and prints a row.
func (b *bench) move(ctx context.Context, name, data string) error {
	before, err := b.srv.stats()
	if err != nil {
		return err
	}
	start := time.Now()
	done, err := operator.Dial(data).Rewrap(ctx, operator.RewrapCommand{Bucket: "rewrap"},
		func(operator.Rewrapped) error { return nil })
	took := time.Since(start)
	if err != nil {
		return err
	}
	if done.Changed != versionsToMove || done.Failed+done.Left > 0 {
		return fmt.Errorf("%s: %+v", name, done)
	}
	after, err := b.srv.stats()
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %.0f | | | %.0f | %.4f |\n", name, versionsToMove/took.Seconds(),
		float64((after.CPU-before.CPU).Nanoseconds())/1e3/versionsToMove,
		float64(after.Syncs-before.Syncs)/versionsToMove)
	return nil
}
