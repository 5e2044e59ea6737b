package shape

// Tag is a tag of a distribution.
type Tag struct {
	Key   string
	Value string `emit:"always"`
}

// Tags are tags of a distribution.
type Tags struct {
	Items []Tag `xml:"Items>Tag" emit:"always"`
}

// TagKeys are keys of tags.
type TagKeys struct {
	Items []string `xml:"Items>Key"`
}

// ResourceInput is the input of ListTagsForResource.
type ResourceInput struct {
	Resource string `loc:"query,Resource"`
}

// TagResourceInput is the input of TagResource.
type TagResourceInput struct {
	Resource string `loc:"query,Resource"`
	Tags     Tags   `loc:"body,Tags"`
}

// UntagResourceInput is the input of UntagResource.
type UntagResourceInput struct {
	Resource string  `loc:"query,Resource"`
	TagKeys  TagKeys `loc:"body,TagKeys"`
}

// ListTagsOutput is the answer of ListTagsForResource.
type ListTagsOutput struct {
	Tags Tags `loc:"body,Tags"`
}
