package kms

import (
	"context"
	"strconv"

	"watertight/internal/access/authz"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/core/tag"
	"watertight/internal/gateway/dispatch"
)

func (a *API) manageRows() []dispatch.Row {
	return []dispatch.Row{
		define("UpdateKeyDescription",
			onKey(a, "kms:UpdateKeyDescription", none[shape.UpdateKeyDescriptionInput]), a.updateKeyDescription),
		define("EnableKey", onKey(a, "kms:EnableKey", none[shape.KeyInput]), a.enableKey),
		define("DisableKey", onKey(a, "kms:DisableKey", none[shape.KeyInput]), a.disableKey),
		define("ScheduleKeyDeletion", onKey(a, "kms:ScheduleKeyDeletion", window), a.scheduleKeyDeletion),
		define("CancelKeyDeletion", onKey(a, "kms:CancelKeyDeletion", none[shape.KeyInput]), a.cancelKeyDeletion),
		define("TagResource", onKey(a, "kms:TagResource", added), a.tagResource),
		define("UntagResource", onKey(a, "kms:UntagResource", removed), a.untagResource),
		define("ListResourceTags", onKey(a, "kms:ListResourceTags", none[shape.KeyPageInput]), a.listResourceTags),
		define("GetKeyLastUsage", onKey(a, "kms:GetKeyLastUsage", none[shape.KeyInput]), a.getKeyLastUsage),
	}
}

// defaultWindow is the waiting period of a deletion in days, if the request has none.
const defaultWindow = 30

func window(in *shape.ScheduleKeyDeletionInput) keys {
	days := defaultWindow
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	return keys{"kms:schedulekeydeletionpendingwindowindays": {strconv.Itoa(days)}}
}

func added(in *shape.TagResourceInput) keys     { return tagKeys(in.Tags, nil) }
func removed(in *shape.UntagResourceInput) keys { return tagKeys(nil, in.TagKeys) }

func (a *API) updateKeyDescription(
	ctx context.Context, g authz.Grant, in *shape.UpdateKeyDescriptionInput,
) (*shape.Empty, error) {
	return nil, a.Keys.UpdateKeyDescription(ctx, g, *in.KeyId, *in.Description)
}

func (a *API) enableKey(ctx context.Context, g authz.Grant, in *shape.KeyInput) (*shape.Empty, error) {
	return nil, a.Keys.EnableKey(ctx, g, *in.KeyId)
}

func (a *API) disableKey(ctx context.Context, g authz.Grant, in *shape.KeyInput) (*shape.Empty, error) {
	return nil, a.Keys.DisableKey(ctx, g, *in.KeyId)
}

func (a *API) scheduleKeyDeletion(
	ctx context.Context, g authz.Grant, in *shape.ScheduleKeyDeletionInput,
) (*shape.ScheduleKeyDeletionOutput, error) {
	m, err := a.Keys.ScheduleKeyDeletion(ctx, g, *in.KeyId, value(in.PendingWindowInDays))
	if err != nil {
		return nil, err
	}
	return &shape.ScheduleKeyDeletionOutput{
		KeyId: m.ARN.String(), DeletionDate: m.DeletionDate, KeyState: m.State.String(),
		PendingWindowInDays: &m.PendingWindow,
	}, nil
}

func (a *API) cancelKeyDeletion(ctx context.Context, g authz.Grant, in *shape.KeyInput) (*shape.KeyIDOutput, error) {
	k, err := a.Keys.CancelKeyDeletion(ctx, g, *in.KeyId)
	return keyARN(&k, err)
}

// keyARN answers with the ARN of a key.
func keyARN(k *kms.Key, err error) (*shape.KeyIDOutput, error) {
	if err != nil {
		return nil, err
	}
	return &shape.KeyIDOutput{KeyId: k.ARN.String()}, nil
}

func (a *API) tagResource(ctx context.Context, g authz.Grant, in *shape.TagResourceInput) (*shape.Empty, error) {
	return nil, a.Keys.TagResource(ctx, g, *in.KeyId, tagsOf(in.Tags))
}

func (a *API) untagResource(ctx context.Context, g authz.Grant, in *shape.UntagResourceInput) (*shape.Empty, error) {
	return nil, a.Keys.UntagResource(ctx, g, *in.KeyId, in.TagKeys)
}

func (a *API) listResourceTags(
	ctx context.Context, g authz.Grant, in *shape.KeyPageInput,
) (*shape.ListResourceTagsOutput, error) {
	tags, next, err := a.Keys.ListResourceTags(ctx, g, *in.KeyId, pageOf(in.Marker, in.Limit))
	if err != nil {
		return nil, err
	}
	return &shape.ListResourceTagsOutput{
		Tags:       each(tags, func(t *tag.Tag) shape.Tag { return shape.Tag{TagKey: &t.Key, TagValue: &t.Value} }),
		NextMarker: next, Truncated: next != "",
	}, nil
}

func (a *API) getKeyLastUsage(
	ctx context.Context, g authz.Grant, in *shape.KeyInput,
) (*shape.GetKeyLastUsageOutput, error) {
	l, err := a.Keys.GetKeyLastUsage(ctx, g, *in.KeyId)
	if err != nil {
		return nil, err
	}
	out := &shape.GetKeyLastUsageOutput{
		KeyId: l.Key.String(), TrackingStartDate: l.Created, KeyCreationDate: l.Created,
	}
	if !l.At.IsZero() {
		out.KeyLastUsage = &shape.KeyLastUsage{Operation: l.Operation, Timestamp: l.At}
	}
	return out, nil
}
