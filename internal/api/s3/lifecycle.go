package s3

import (
	"context"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

func mayPutBucketLifecycle(in *shape.PutBucketLifecycleInput) authz.Need {
	return authz.Need{Action: "s3:PutLifecycleConfiguration", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) putBucketLifecycle(
	ctx context.Context, g authz.Grant, in *shape.PutBucketLifecycleInput,
) (*shape.PutBucketLifecycleOutput, error) {
	if in.Configuration == nil {
		return nil, missingBody()
	}
	c, err := lifecycleOf(in.Configuration)
	if err != nil {
		return nil, err
	}
	if size := in.MinimumSize; size != nil && *size != c.MinimumSize.String() {
		if c.MinimumSize = lifecycle.VariesByClass; *size != c.MinimumSize.String() {
			return nil, fault.New(fault.InvalidRequest, "Invalid TransitionDefaultMinimumObjectSize found: "+*size)
		}
	}
	if err := a.Buckets.PutLifecycle(ctx, g, in.Bucket, c); err != nil {
		return nil, err
	}
	return &shape.PutBucketLifecycleOutput{MinimumSize: c.MinimumSize.String()}, nil
}

func (a *API) deleteBucketLifecycle(ctx context.Context, g authz.Grant, in *shape.BucketInput) (*shape.Empty, error) {
	return nil, a.Buckets.DeleteLifecycle(ctx, g, in.Bucket)
}

func (a *API) getBucketLifecycle(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.LifecycleOutput, error) {
	c, err := a.Buckets.GetLifecycle(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &shape.LifecycleOutput{MinimumSize: c.MinimumSize.String()}
	for i := range c.Rules {
		out.Rules = append(out.Rules, lifecycleRule(&c.Rules[i]))
	}
	return out, nil
}

// lifecycleOf translates a document; core/lifecycle checks it.
func lifecycleOf(in *shape.LifecycleConfiguration) (c lifecycle.Configuration, err error) {
	for i := range in.Rules {
		r := &in.Rules[i]
		out := lifecycle.Rule{ID: r.ID, Status: r.Status, Prefix: r.Prefix}
		if f := r.Filter; f != nil {
			out.Filter = &lifecycle.Filter{}
			of := &out.Filter.Predicates
			if of.Tags, err = tagList(f.Tags); err != nil {
				return c, err
			}
			of.Prefix, of.Greater, of.Less = f.Prefix, f.ObjectSizeGreaterThan, f.ObjectSizeLessThan
			if and := f.And; and != nil {
				p := lifecycle.Predicates{
					Prefix: and.Prefix, Greater: and.ObjectSizeGreaterThan, Less: and.ObjectSizeLessThan,
				}
				if p.Tags, err = tagList(and.Tags); err != nil {
					return c, err
				}
				out.Filter.And = &p
			}
		}
		if err := lifecycleActions(r, &out); err != nil {
			return c, err
		}
		c.Rules = append(c.Rules, out)
	}
	return c, nil
}

func lifecycleActions(r *shape.LifecycleRule, out *lifecycle.Rule) error {
	if e := r.Expiration; e != nil {
		date, err := parseDate(e.Date)
		if err != nil {
			return err
		}
		out.Expiration = &lifecycle.Expiration{
			Days: e.Days, Date: date, ExpiredObjectDeleteMarker: e.ExpiredObjectDeleteMarker,
		}
	}
	for _, t := range r.Transitions {
		date, err := parseDate(t.Date)
		if err != nil {
			return err
		}
		out.Transitions = append(out.Transitions, lifecycle.Transition{Days: t.Days, Date: date, Class: t.StorageClass})
	}
	if e := r.NoncurrentExpiration; e != nil {
		out.NoncurrentExpiration = &lifecycle.NoncurrentExpiration{
			Days: e.NoncurrentDays, Newer: e.NewerNoncurrentVersions,
		}
	}
	for _, t := range r.NoncurrentTransitions {
		out.NoncurrentTransitions = append(out.NoncurrentTransitions, lifecycle.NoncurrentTransition{
			Days: t.NoncurrentDays, Newer: t.NewerNoncurrentVersions, Class: t.StorageClass,
		})
	}
	if r.Abort != nil {
		out.Abort = &lifecycle.Abort{Days: r.Abort.DaysAfterInitiation}
	}
	return nil
}

// parseDate reads a date, or a date with a time, in ISO 8601.
func parseDate(s *string) (*time.Time, error) {
	if s == nil {
		return nil, nil
	}
	for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, *s); err == nil {
			return &t, nil
		}
	}
	return nil, malformedXML()
}

func showDate(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}

func lifecycleRule(r *lifecycle.Rule) shape.LifecycleRule {
	out := shape.LifecycleRule{ID: r.ID, Prefix: r.Prefix, Status: r.Status}
	if f := r.Filter; f != nil {
		out.Filter = &shape.LifecycleFilter{
			Prefix: f.Prefix, Tags: shownTags(f.Tags), ObjectSizeGreaterThan: f.Greater, ObjectSizeLessThan: f.Less,
		}
		if and := f.And; and != nil {
			out.Filter.And = &shape.LifecycleAnd{
				Prefix: and.Prefix, Tags: shownTags(and.Tags), ObjectSizeGreaterThan: and.Greater,
				ObjectSizeLessThan: and.Less,
			}
		}
	}
	if e := r.Expiration; e != nil {
		out.Expiration = &shape.LifecycleExpiration{
			Date: showDate(e.Date), Days: e.Days, ExpiredObjectDeleteMarker: e.ExpiredObjectDeleteMarker,
		}
	}
	for _, t := range r.Transitions {
		out.Transitions = append(out.Transitions,
			shape.LifecycleTransition{Date: showDate(t.Date), Days: t.Days, StorageClass: t.Class})
	}
	if e := r.NoncurrentExpiration; e != nil {
		out.NoncurrentExpiration = &shape.NoncurrentExpiration{
			NoncurrentDays: e.Days, NewerNoncurrentVersions: e.Newer,
		}
	}
	for _, t := range r.NoncurrentTransitions {
		out.NoncurrentTransitions = append(out.NoncurrentTransitions, shape.NoncurrentTransition{
			NoncurrentDays: t.Days, NewerNoncurrentVersions: t.Newer, StorageClass: t.Class,
		})
	}
	if r.Abort != nil {
		out.Abort = &shape.AbortUploads{DaysAfterInitiation: r.Abort.Days}
	}
	return out
}

func shownTags(tags []tag.Tag) []shape.Tag {
	if len(tags) == 0 {
		return nil
	}
	return tagSet(tags).Tags
}

// expiration returns the value of x-amz-expiration. AWS's page says that the rule's ID is
// URL-encoded, but AWS was only seen to send it as it is. Here only the bytes that a
// quoted value in a header can't hold are encoded.
func expiration(s object.Scheduled) string {
	if s.At.IsZero() {
		return ""
	}
	date := s.At.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	return `expiry-date="` + date + `", rule-id="` + headerID(s.Rule) + `"`
}

// aborts returns the values of x-amz-abort-date and x-amz-abort-rule-id.
func aborts(s object.Scheduled) shape.Aborts {
	return shape.Aborts{AbortDate: s.At, AbortRuleId: headerID(s.Rule)}
}

func headerID(id string) string {
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
