package policy

// Problem is the class of an error in a document. The services choose their code and
// message by it: IAM and STS answer MalformedPolicyDocument, KMS
// MalformedPolicyDocumentException, S3 MalformedPolicy.
type Problem uint8

// The problems.
const (
	BadSyntax      Problem = iota // not JSON, or a wrong JSON type
	TooLong                       // longer than the limit of the kind
	MissingElement                // Path names it
	UnknownElement                // Path names it
	BadVersion
	BadSid
	BadEffect
	BadPrincipal
	BadAction
	BadResource
	BadCondition
	BadAddress // a condition's value
)

// Error says what is wrong with a document, and where.
type Error struct {
	Problem Problem
	Path    string // "Statement[1].Condition.StringLike"; empty for the whole document
	Text    string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Path == "" {
		return "policy: " + e.Text
	}
	return "policy: " + e.Path + ": " + e.Text
}
