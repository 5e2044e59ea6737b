package shape

import "time"

// AliasTargetInput is the input of CreateAlias and UpdateAlias.
type AliasTargetInput struct {
	AliasName   *string `valid:"required 1..256 alias"`
	TargetKeyId *string `valid:"required 1..2048"`
}

// AliasInput is the input of DeleteAlias.
type AliasInput struct {
	AliasName *string `valid:"required 1..256 alias"`
}

// ListAliasesInput is the input of ListAliases.
type ListAliasesInput struct {
	KeyId  *string `valid:"1..2048"`
	Limit  *int    `valid:"1..1000"`
	Marker *string `valid:"1..1024 marker"`
}

// AliasListEntry is an alias. An alias of AWS without a key has no target.
type AliasListEntry struct {
	AliasName, AliasArn, TargetKeyId string
	CreationDate, LastUpdatedDate    time.Time
}

// ListAliasesOutput is the answer of ListAliases.
type ListAliasesOutput struct {
	Aliases    []AliasListEntry
	NextMarker string
	Truncated  bool
}
