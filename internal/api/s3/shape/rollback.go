package shape

import "time"

// RollbackBucketInput is the input of RollbackBucket, an operation that AWS does not have.
// Prefix and After are encoded like keys of listings with encoding-type=url.
type RollbackBucketInput struct {
	Bucket              string `loc:"uri,Bucket"`
	To                  string `loc:"header,x-watertight-rollback-to"`
	Prefix              string `loc:"header,x-watertight-rollback-prefix"`
	After               string `loc:"header,x-watertight-rollback-after"`
	DryRun              string `loc:"header,x-watertight-dry-run" enum:"true|false"`
	ExpectedBucketOwner string `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// BucketOwner returns the bucket and the account that the client expects to own it.
func (in *RollbackBucketInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// RollbackBucketOutput is one page of a rollback.
type RollbackBucketOutput struct {
	_            struct{}  `root:"RollbackBucketResult"`
	Bucket       string    `emit:"always"`
	Prefix       string    `emit:"always"`
	To           time.Time `emit:"always"`
	DryRun       bool      `emit:"always"`
	EncodingType string    `emit:"always"`
	Restored     int       `emit:"always"`
	Changed      int       `emit:"always"`
	Hidden       int       `emit:"always"`
	Unchanged    int       `emit:"always"`
	Skipped      int       `emit:"always"`
	Public       int       `emit:"always"`
	Private      int       `emit:"always"`
	Bytes        int64     `emit:"always"`
	IsTruncated  bool      `emit:"always"`
	NextAfter    string
	Keys         []RolledBackKey `xml:"Key"`
}

// RolledBackKey is a key that a dry run would change, or that was skipped.
type RolledBackKey struct {
	Name         string `emit:"always"`
	Action       string `emit:"always"`
	VersionId    string
	Size         *int64
	LastModified time.Time
	Public       bool
	Private      bool
}
