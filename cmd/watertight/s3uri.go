package main

import (
	"fmt"
	"strings"
)

// parseBucket reads the name of a bucket, or s3://BUCKET.
func parseBucket(text string) (string, error) {
	if !strings.Contains(text, "/") {
		return text, nil
	}
	bucket, rest := parseS3(text)
	if bucket == "" || rest != "" {
		return "", usageError{fmt.Errorf("%q is not the name of a bucket, or s3://BUCKET", text)}
	}
	return bucket, nil
}

// parsePrefix reads s3://BUCKET or s3://BUCKET/PREFIX.
func parsePrefix(text string) (bucket, prefix string, err error) {
	if bucket, prefix = parseS3(text); bucket == "" {
		err = usageError{fmt.Errorf("%q is not s3://BUCKET or s3://BUCKET/PREFIX", text)}
	}
	return bucket, prefix, err
}

// parseObject reads s3://BUCKET/KEY.
func parseObject(text string) (bucket, key string, err error) {
	if bucket, key = parseS3(text); bucket == "" || key == "" {
		err = usageError{fmt.Errorf("%q is not s3://BUCKET/KEY", text)}
	}
	return bucket, key, err
}

// parseS3 splits s3://BUCKET/REST. The bucket is empty if the text is not of that form.
func parseS3(text string) (bucket, rest string) {
	path, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return "", ""
	}
	bucket, rest, _ = strings.Cut(path, "/")
	return bucket, rest
}
