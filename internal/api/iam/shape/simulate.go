package shape

// ContextEntry is a context key and its values.
type ContextEntry struct {
	ContextKeyName   string `valid:"required 5..256"`
	ContextKeyValues []string
	ContextKeyType   string `valid:"string|stringList|numeric|numericList|boolean|booleanList|ip|ipList|binary|binaryList|date|dateList"`
}

// SimulatePolicyInput is the input of SimulateCustomPolicy, where PolicySourceArn must be
// absent, and of SimulatePrincipalPolicy, where it is required.
type SimulatePolicyInput struct {
	PolicySourceArn                    string `valid:"20..2048"`
	PolicyInputList                    []string
	PermissionsBoundaryPolicyInputList []string
	ActionNames                        []string `valid:"required"`
	ResourceArns                       []string
	ResourcePolicy                     string `valid:"1..131072 document"`
	ResourceOwner                      string `valid:"1..2048"`
	CallerArn                          string `valid:"1..2048"`
	ContextEntries                     []ContextEntry
	ResourceHandlingOption             string `valid:"EC2-Classic-InstanceStore|EC2-Classic-EBS|EC2-VPC-InstanceStore|EC2-VPC-InstanceStore-Subnet|EC2-VPC-EBS|EC2-VPC-EBS-Subnet"`
	Marker                             string `valid:"1..320 marker"`
	MaxItems                           *int   `valid:"1..1000"`
}

// SimulatePolicyOutput is the output of both simulations.
type SimulatePolicyOutput struct {
	EvaluationResults []EvaluationResult
	IsTruncated       bool
	Marker            string
}

// EvaluationResult is a decision.
type EvaluationResult struct {
	EvalActionName, EvalResourceName, EvalDecision string
	MatchedStatements                              []MatchedStatement
	MissingContextValues                           []string
	PermissionsBoundaryDecisionDetail              *BoundaryDecision
	EvalDecisionDetails                            map[string]string
	ResourceSpecificResults                        []ResourceSpecificResult
}

// ResourceSpecificResult is the decision on one resource that the request names.
type ResourceSpecificResult struct {
	EvalResourceName, EvalResourceDecision string
	MatchedStatements                      []MatchedStatement
	MissingContextValues                   []string
	PermissionsBoundaryDecisionDetail      *BoundaryDecision
	EvalDecisionDetails                    map[string]string
}

// BoundaryDecision is whether the permissions boundary allows the request.
type BoundaryDecision struct{ AllowedByPermissionsBoundary bool }

// MatchedStatement is a statement that applied to the request.
type MatchedStatement struct {
	SourcePolicyId, SourcePolicyType string
	StartPosition, EndPosition       Position
}

// Position is a position in a document, counted from 1.
type Position struct{ Line, Column int }

// ContextKeysInput is the input of GetContextKeysForCustomPolicy, where PolicySourceArn
// must be absent, and of GetContextKeysForPrincipalPolicy, where it is required.
type ContextKeysInput struct {
	PolicySourceArn string `valid:"20..2048"`
	PolicyInputList []string
}

// ContextKeysOutput is the output of both operations.
type ContextKeysOutput struct{ ContextKeyNames []string }
