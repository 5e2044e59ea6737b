package distribution

import "encoding/json"

// statement is a statement of a policy, with its members in the usual order.
type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string
	Action    string
	Resource  string
	Condition map[string]map[string]string
}

// BucketStatement returns the statement of a bucket policy that lets a distribution, by its
// ARN, read the objects of a bucket ("Restrict access to an Amazon S3 origin" in the developer
// guide).
func BucketStatement(bucket, source string) string {
	return allow("s3:GetObject", "arn:aws:s3:::"+bucket+"/*", source)
}

// KeyStatement returns the statement of a key policy that lets a distribution read objects that
// are encrypted under the key.
func KeyStatement(source string) string { return allow("kms:Decrypt", "*", source) }

func allow(action, resource, source string) string {
	b, _ := json.Marshal(statement{ // encoding strings can't fail
		Sid: "Allow" + sid(source), Effect: "Allow", Action: action, Resource: resource,
		Principal: map[string]string{"Service": "cloudfront.amazonaws.com"},
		Condition: map[string]map[string]string{"StringEquals": {"AWS:SourceArn": source}},
	})
	return string(b)
}

// sid returns the letters and digits at the end of an ARN: a distribution's id.
func sid(source string) string {
	for i := len(source) - 1; i >= 0; i-- {
		if c := source[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return source[i+1:]
		}
	}
	return source
}
