package shape

// Tagging is the document of PutBucketTagging and the output of
// GetBucketTagging.
type Tagging struct {
	_    struct{} `root:"Tagging"`
	Tags *TagSet  `xml:"TagSet"`
}

// TagSet is a list of tags.
type TagSet struct {
	Tags []Tag `xml:"Tag"`
}

// Tag is a tag. Both members are required.
type Tag struct {
	Key   *string
	Value *string
}

// PutBucketTaggingInput is the input of PutBucketTagging.
type PutBucketTaggingInput struct {
	Bucket              string   `loc:"uri,Bucket"`
	Tagging             *Tagging `loc:"body,Tagging"`
	ExpectedBucketOwner string   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// PutObjectTaggingInput is the input of PutObjectTagging.
type PutObjectTaggingInput struct {
	Bucket              string   `loc:"uri,Bucket"`
	Key                 string   `loc:"uri,Key"`
	VersionId           *string  `loc:"query,versionId"`
	Tagging             *Tagging `loc:"body,Tagging"`
	ExpectedBucketOwner string   `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// ObjectTagging is the output of GetObjectTagging.
type ObjectTagging struct {
	_         struct{} `root:"Tagging"`
	VersionId string   `loc:"header,x-amz-version-id"`
	Tags      *TagSet  `xml:"TagSet"`
}

// ObjectTaggingOutput is the output of PutObjectTagging and DeleteObjectTagging.
type ObjectTaggingOutput struct {
	VersionId string `loc:"header,x-amz-version-id"`
}
