package shape

// PostObjectInput is the input of a POST form. The members of PutObjectInput are form fields, too.
type PostObjectInput struct {
	PutObjectInput
	FormACL        string `loc:"header,acl"`
	FormTagging    string `loc:"header,tagging"` // a Tagging document
	Redirect       string `loc:"header,success_action_redirect"`
	LegacyRedirect string `loc:"header,redirect"`
	ActionStatus   string `loc:"header,success_action_status"`
	BucketURL      string `loc:"uri,BucketURL"`
}

// PostObjectOutput is the output of a POST form. Only a 201 has a document.
type PostObjectOutput struct {
	_            struct{} `root:"PostResponse" only:"201" ns:"none"`
	Status       int      `loc:"status"`
	Location     string   `loc:"header,Location"`
	PostLocation string   `xml:"Location"`
	Bucket       string
	Key          string
	PostETag     string `xml:"ETag"`
	PutObjectOutput
}
