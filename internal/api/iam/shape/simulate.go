package shape

// ContextEntry is a context key and its values.
type ContextEntry struct {
	ContextKeyName   string `valid:"required 5..256"`
	ContextKeyValues []string
	ContextKeyType   string `valid:"string|stringList|numeric|numericList|boolean|booleanList|ip|ipList|binary|binaryList|date|dateList"`
}

// SimulatePolicyInput is the input of SimulateCustomPolicy, which has no
// PolicySourceArn, and of SimulatePrincipalPolicy, which needs one.
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

// SimulatePolicyOutput is the output of the simulations.
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

// ResourceSpecificResult is a decision on a resource that was asked about by
// name.
type ResourceSpecificResult struct {
	EvalResourceName, EvalResourceDecision string
	MatchedStatements                      []MatchedStatement
	MissingContextValues                   []string
	PermissionsBoundaryDecisionDetail      *BoundaryDecision
	EvalDecisionDetails                    map[string]string
}

// BoundaryDecision is what the boundary says.
type BoundaryDecision struct{ AllowedByPermissionsBoundary bool }

// MatchedStatement is a statement that applied to the request.
type MatchedStatement struct {
	SourcePolicyId, SourcePolicyType string
	StartPosition, EndPosition       Position
}

// Position is a place in a document, from 1.
type Position struct{ Line, Column int }

// ContextKeysInput is the input of GetContextKeysForCustomPolicy, which has no
// PolicySourceArn, and of GetContextKeysForPrincipalPolicy, which needs one.
type ContextKeysInput struct {
	PolicySourceArn string `valid:"20..2048"`
	PolicyInputList []string
}

// ContextKeysOutput is the output of both.
type ContextKeysOutput struct{ ContextKeyNames []string }
