package policy

// Work is how many steps decisions may still take. It bounds the work that a document's
// writer and a request's sender together can cause. It counts comparisons, not time,
// so that the same laws and requests always get the same answer.
type Work struct{ left int }

// The most steps of one decision, and of all decisions on one request. A decision
// under ten policies of two kilobytes takes a few hundred.
const (
	decisionSteps = 1 << 23
	requestSteps  = 1 << 26
)

// NewWork returns the budget of one request.
func NewWork() *Work { return &Work{left: requestSteps} }

// most is what the next decision may take.
func (w *Work) most() int {
	if w == nil {
		return decisionSteps
	}
	return min(w.left, decisionSteps)
}

// Exhausted reports that nothing is left: the decisions since then were denies.
func (w *Work) Exhausted() bool { return w != nil && w.left <= 0 }

// Spend takes steps for work other than decisions.
func (w *Work) Spend(n int) {
	if w != nil {
		w.left = max(0, w.left-n)
	}
}

// spend counts steps; without a situation they are not counted.
func (in *situation) spend(n int) {
	if in != nil {
		in.spent += n
	}
}

// exhausted reports that a decision has taken all the steps it may.
func (in *situation) exhausted() bool { return in != nil && in.spent > in.most }
