package policy

// Work counts the steps of all decisions on one request. It bounds the work that a
// document's writer and a request's sender together can cause. It counts comparisons
// instead of time, so that the same laws and requests always get the same answer. The zero
// Work has the whole budget of a request.
type Work struct{ spent int }

// The maximum steps of one decision, and of all decisions on one request. A decision with
// ten policies of two kilobytes takes a few hundred.
const (
	decisionSteps = 1 << 23
	requestSteps  = 1 << 26
)

// most returns the budget of the next decision.
func (w *Work) most() int {
	if w == nil {
		return decisionSteps
	}
	return min(requestSteps-w.spent, decisionSteps)
}

// Exhausted reports whether nothing is left: all decisions since then were denies.
func (w *Work) Exhausted() bool { return w != nil && w.spent >= requestSteps }

// Spend takes steps for work other than decisions.
func (w *Work) Spend(n int) {
	if w != nil {
		w.spent = min(requestSteps, w.spent+n)
	}
}

// spend counts steps; without a situation they are not counted.
func (in *situation) spend(n int) {
	if in != nil {
		in.spent += n
	}
}

// exhausted reports whether a decision has taken the maximum number of steps.
func (in *situation) exhausted() bool { return in != nil && in.spent > in.most }
