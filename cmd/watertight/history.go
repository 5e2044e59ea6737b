package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"watertight/internal/operator"
)

// history lists the versions of an object.
type history struct {
	running
	Object string `arg:"" help:"s3://BUCKET/KEY." placeholder:"S3URI"`
	JSON   bool   `help:"Print a line of JSON for each version." name:"json"`
}

// Run prints a line for each version, newest first.
func (c *history) Run(p process) error {
	name, key, err := parseObject(c.Object)
	if err != nil {
		return err
	}
	_, err = operator.Dial(c.Data).History(p.ctx, operator.HistoryCommand{Bucket: name, Key: key},
		func(v operator.Past) error {
			if c.JSON {
				return json.NewEncoder(p.stdout).Encode(v)
			}
			what := fmt.Sprintf("%d bytes, ETag %s", v.Size, v.ETag)
			if v.DeleteMarker {
				what = "delete marker"
			}
			_, err := fmt.Fprintf(p.stdout, "%s  %s  %s\n    by %s from %s with %s\n",
				v.Modified.UTC().Format(time.RFC3339Nano), v.ID, what, writerOf(&v), cmp.Or(v.Address, "-"),
				cmp.Or(v.AccessKeyID, "-"))
			return err
		})
	return err
}

// writerOf names who wrote a version. If the version is older than the recording of
// writers, it has no address either.
func writerOf(v *operator.Past) string {
	switch {
	case v.Writer != "":
		return v.Writer
	case v.Address != "":
		return "anonymous"
	}
	return "unknown"
}
