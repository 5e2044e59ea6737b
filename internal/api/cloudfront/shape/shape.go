// Package shape has the inputs and outputs of CloudFront's operations, with AWS's member
// names. The documents inside them are those of core/distribution. Tags say where a member
// is on the wire; see dialect/restxml. It must never know what an operation does.
package shape

// Target is an input that names the resource of its operation. An operation on a resource
// does not compile with an input that lacks the method.
type Target interface{ ID() string }

// Empty is the input or the answer of an operation without one.
type Empty struct{}

// IDInput is the input of operations that read a resource.
type IDInput struct {
	Id string `loc:"uri,Id"`
}

// ID implements Target.
func (in *IDInput) ID() string { return in.Id }

// DeleteInput is the input of operations that delete a resource.
type DeleteInput struct {
	Id      string `loc:"uri,Id"`
	IfMatch string `loc:"header,If-Match"`
}

// ID implements Target.
func (in *DeleteInput) ID() string { return in.Id }

// PageInput is the input of listings.
type PageInput struct {
	Marker   string `loc:"query,Marker"`
	MaxItems string `loc:"query,MaxItems"`
}

// PolicyPageInput is the input of listings of policies.
type PolicyPageInput struct {
	Type     string `loc:"query,Type"` // managed or custom; "" means both
	Marker   string `loc:"query,Marker"`
	MaxItems string `loc:"query,MaxItems"`
}
