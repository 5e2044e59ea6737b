package clients

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestSamtools is a session of samtools. Its library searches answers for the bytes "ETag: ": without them
// it ends an upload without storing anything and without an error.
func TestSamtools(t *testing.T) {
	c := start(t, "samtools")
	_, host, _ := strings.Cut(c.s.Endpoint, "://")
	c.extra = func(secret string) []string {
		return []string{
			"HTS_S3_HOST=" + host, "HTS_S3_ADDRESS_STYLE=path", "AWS_ACCESS_KEY_ID=" + c.s.AccessKeyID,
			"AWS_DEFAULT_REGION=us-east-1",
		}
	}
	if _, err := c.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("samtools")}); err != nil {
		t.Fatal(err)
	}
	const read = "r1\t0\tc\t1\t60\t4M\t*\t0\t0\tACGT\tIIII\n"
	c.text("in.sam", "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c\tLN:100\n"+strings.Repeat(read, 1000))
	c.run("samtools", "view", "-b", "-o", "s3+http://samtools/k.bam", "in.sam")
	if out := c.run("samtools", "view", "s3+http://samtools/k.bam"); out != strings.Repeat(read, 1000) {
		t.Errorf("%d bytes are not the same", len(out))
	}
	c.refused("", "samtools", "view", "s3+http://samtools/k.bam")
}
