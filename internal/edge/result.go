package edge

import "watertight/internal/edge/cache"

// result is where an answer came from, as X-Cache and the access log say it.
type result uint8

const (
	resultHit result = iota
	resultRefreshHit
	resultMiss
	resultError
	resultRedirect
	resultLimitExceeded
	results = iota
)

// String is the name in X-Cache, in the access log and in metrics.
func (r result) String() string {
	names := [results]string{"Hit", "RefreshHit", "Miss", "Error", "Redirect", "LimitExceeded"}
	return names[r]
}

// ResultNames are the names of the results, in the order of Counts.Results.
func ResultNames() []string {
	names := make([]string, results)
	for i := range names {
		names[i] = result(i).String()
	}
	return names
}

// resultOf translates what the cache says.
func resultOf(r cache.Result) result {
	switch r {
	case cache.Hit, cache.Stale:
		return resultHit
	case cache.RefreshHit:
		return resultRefreshHit
	}
	return resultMiss
}
