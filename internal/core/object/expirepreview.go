package object

import (
	"context"
	"time"

	"watertight/internal/core/bucket"
	"watertight/internal/core/lifecycle"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Upcoming is what a rule will do to a version or an upload.
type Upcoming struct {
	At           time.Time
	Action       string // "expire", "remove", "remove marker", "transition", "abort"
	Rule         string
	Key          string
	VersionID    string `json:"VersionId,omitempty"`
	UploadID     string `json:"UploadId,omitempty"`
	StorageClass string `json:",omitempty"` // of a transition
	Size         int64
	Kept         bool // Object Lock keeps it
}

// Sum counts one kind of action by one rule.
type Sum struct {
	Action, Rule string
	StorageClass string `json:",omitempty"`
	Count        int
	Bytes        int64
	Due          int       // those of Count that are due at the instant of the preview
	Kept         int       // those of Count that Object Lock keeps
	First        time.Time // the earliest time of all
}

// Preview is what the lifecycle of a bucket will do. Items are in order of their keys,
// versions before uploads.
type Preview struct {
	At     time.Time
	Frozen bool // somebody is frozen in the bucket: nothing is done before that ends
	Judged int  // versions and delete markers
	Items  []Upcoming
	Cut    bool // there are more items; the sums count all of them
	Sums   []Sum
}

// Preview returns the actions of a bucket's rules that are due at an instant or, with later,
// the next action on every version and upload, whenever that is due. Items has up to most.
// Errors: NoSuchBucket, NoSuchLifecycleConfiguration.
func (l *Lifecycle) Preview(
	ctx context.Context, bucketName string, at time.Time, later bool, most int,
) (out Preview, err error) {
	c := &bucketPass{}
	err = l.s.store.View(ctx, func(r kv.Reader) error {
		if c.b, err = bucket.Read(r, bucketName); err != nil {
			return err
		}
		rules, err := l.s.buckets.Rules(r, &c.b)
		if err == nil && rules == nil {
			err = fault.Of(fault.NoSuchLifecycleConfiguration).With("BucketName", bucketName)
		}
		c.judge = expiryJudge{b: &c.b, rules: rules, most: l.most, at: at, all: later}
		return err
	})
	if err != nil {
		return Preview{}, err
	}
	p := previewer{most: most, out: Preview{At: at, Frozen: c.b.Frozen}, sums: map[Sum]int{}}
	for c.from = bucket.VersionsOf(c.b.ID); c.from != nil; {
		err := l.s.store.View(ctx, func(r kv.Reader) (err error) {
			c.from, err = c.judge.scan(r, c.from)
			return err
		})
		if err != nil {
			return Preview{}, err
		}
		for _, err := range c.judge.failed {
			l.bad(c.b.Name, err)
		}
		p.add(c.judge.due)
		c.judge.due, c.judge.failed = nil, nil
	}
	p.out.Judged = c.judge.judged
	for c.uploads = uploadsOf(&c.b, ""); c.uploads != nil; {
		var due []dueItem
		if due, c.uploads, err = l.dueUploads(ctx, c, at); err != nil {
			return Preview{}, err
		}
		p.add(due)
	}
	return p.out, nil
}

// previewer collects a preview. The number of sums is bounded, because a configuration has
// up to 1,000 rules.
type previewer struct {
	most int
	out  Preview
	sums map[Sum]int // action, rule and class to the index in out.Sums
}

func (p *previewer) add(due []dueItem) {
	for i := range due {
		d := &due[i]
		a := &d.action
		by := Sum{Action: actionName(a.Kind), Rule: a.Rule, StorageClass: a.Class}
		n, ok := p.sums[by]
		if !ok {
			n = len(p.out.Sums)
			p.sums[by], p.out.Sums = n, append(p.out.Sums, by)
			p.out.Sums[n].First = a.At
		}
		s := &p.out.Sums[n]
		s.Count++
		s.Bytes += d.size
		if a.Due(p.out.At) {
			s.Due++
		}
		if d.kept {
			s.Kept++
		}
		if a.At.Before(s.First) {
			s.First = a.At
		}
		if len(p.out.Items) == p.most {
			p.out.Cut = true
			continue
		}
		p.out.Items = append(p.out.Items, Upcoming{
			At: a.At, Action: by.Action, Rule: a.Rule, Key: d.key, VersionID: d.id, UploadID: d.upload,
			StorageClass: a.Class, Size: d.size, Kept: d.kept,
		})
	}
}

func actionName(k lifecycle.Kind) string {
	switch k {
	case lifecycle.Expire:
		return "expire"
	case lifecycle.RemoveVersion:
		return "remove"
	case lifecycle.RemoveMarker:
		return "remove marker"
	case lifecycle.Move:
		return "transition"
	}
	return "abort"
}
