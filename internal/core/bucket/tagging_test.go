package bucket

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

func TestTags(t *testing.T) {
	s := open(t)
	made := s.make(t, coretest.Account, "first")
	put := grant(t, coretest.Account, "first", "s3:PutBucketTagging")
	get := grant(t, coretest.Account, "first", "s3:GetBucketTagging")
	_, err := s.GetTags(t.Context(), get, "first")
	wants(t, err, fault.KindNotFound, "NoSuchTagSet", "BucketName", "first")
	for i, want := range []tag.Set{{{Key: "a", Value: "1"}, {Key: "b", Value: ""}}, {{Key: "é", Value: "2"}}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if err := s.PutTags(t.Context(), put, "first", want); err != nil {
				t.Fatal(err)
			}
			if got, err := s.GetTags(t.Context(), get, "first"); err != nil || !slices.Equal(got, want) {
				t.Errorf("%v %v, want %v", got, err, want)
			}
		})
	}
	wants(t, s.PutTags(t.Context(), get, "first", nil), fault.KindDenied, "AccessDenied")
	_, err = s.GetTags(t.Context(), put, "first")
	wants(t, err, fault.KindDenied, "AccessDenied")
	for range 2 { // the second time there is nothing to remove
		if err := s.PutTags(t.Context(), put, "first", nil); err != nil {
			t.Fatal(err)
		}
		_, err = s.GetTags(t.Context(), get, "first")
		wants(t, err, fault.KindNotFound, "NoSuchTagSet")
	}
	absent := grant(t, coretest.Account, "absent", "s3:PutBucketTagging", "s3:GetBucketTagging")
	wants(t, s.PutTags(t.Context(), absent, "absent", nil), fault.KindNotFound, "NoSuchBucket")
	_, err = s.GetTags(t.Context(), absent, "absent")
	wants(t, err, fault.KindNotFound, "NoSuchBucket")
	if b, err := s.Head(t.Context(), grant(t, coretest.Account, "first", "s3:ListBucket"),
		"first"); err != nil || !reflect.DeepEqual(b, made) {
		t.Errorf("tags changed the bucket's record: %+v %v", b, err)
	}
}

func TestTagsOfANewBucket(t *testing.T) {
	s := open(t)
	want := tag.Set{{Key: "a", Value: "1"}}
	_, err := s.Create(t.Context(), grant(t, coretest.Account, "first", "s3:CreateBucket"), CreateInput{
		Name: "first", Tags: want,
	})
	wants(t, err, fault.KindDenied, "AccessDenied")
	g := grant(t, coretest.Account, "first", "s3:CreateBucket", "s3:TagResource", "s3:GetBucketTagging",
		"s3:DeleteBucket")
	if _, err := s.Create(t.Context(), g, CreateInput{Name: "first", Tags: want}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetTags(t.Context(), g, "first"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	if err := s.Delete(t.Context(), g, "first"); err != nil {
		t.Fatal(err)
	}
	s.make(t, coretest.Account, "first")
	_, err = s.GetTags(t.Context(), g, "first")
	wants(t, err, fault.KindNotFound, "NoSuchTagSet")
}

func FuzzDecodeTags(f *testing.F) {
	f.Add([]byte{1, 0x0a, 3, 1, 'a', '1'})
	f.Add([]byte{1, 0x0a, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		if tags, err := decodeTags(b); err != nil && tags != nil {
			t.Error(tags, err)
		}
	})
}
