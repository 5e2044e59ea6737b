package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"watertight/internal/core/bucket"
	"watertight/test/harness"
)

// past is an instant to which a writer can roll back: it had no request in progress.
type past struct {
	at     time.Time
	moment int // the instant in the model
}

// remember stores the present instant.
func (w *writer) remember(context.Context) error {
	const kept = 5
	w.past = append(w.past[max(0, len(w.past)-kept+1):], past{time.Now(), w.state.Moment()})
	return nil
}

// rollback rolls the writer's keys back to an instant. All of them change at once, because they fit into one
// page.
func (w *writer) rollback(ctx context.Context) error {
	if len(w.past) == 0 {
		return w.remember(ctx)
	}
	to, code := draw(w.rng, w.past...), ""
	if w.state.State != bucket.Enabled {
		code = "InvalidBucketState"
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("rollback to %s", to.at.UTC().Format(time.RFC3339Nano)),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			if err := rollback(ctx, client, w.bucket, w.name, to.at); err != nil {
				return answer{}, err
			}
			latest := map[string]string{}
			pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{
				Bucket: &w.bucket, Prefix: &w.name,
			})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return answer{}, fmt.Errorf("%w: %w", errLost, err)
				}
				for _, v := range page.Versions {
					if *v.IsLatest {
						latest[*v.Key] = *v.VersionId
					}
				}
				for _, m := range page.DeleteMarkers {
					if *m.IsLatest {
						latest[*m.Key] = *m.VersionId
					}
				}
			}
			return answer{id: func(key string) string { return latest[key] }}, nil
		},
		then: func(s *state, a answer) { s.Rollback(w.name, to.moment, a.id) },
	})
}

// rollback sends RollbackBucket, which no SDK knows.
func rollback(ctx context.Context, client *s3.Client, bucket, prefix string, to time.Time) error {
	o := client.Options()
	r, err := http.NewRequestWithContext(ctx, "POST", *o.BaseEndpoint+"/"+bucket, nil)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(nil)
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	r.Header.Set("X-Watertight-Rollback-To", to.UTC().Format(time.RFC3339Nano))
	r.Header.Set("X-Watertight-Rollback-Prefix", prefix)
	who := aws.Credentials{AccessKeyID: harness.AccessKeyID, SecretAccessKey: harness.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(ctx, who, r, hash, "s3", harness.Region, time.Now()); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusOK {
		return err
	}
	var refusal struct{ Code, Message string }
	if err := xml.Unmarshal(body, &refusal); err != nil {
		return err
	}
	return &smithy.GenericAPIError{Code: refusal.Code, Message: refusal.Message}
}
