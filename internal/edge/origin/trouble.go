package origin

import (
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Trouble is the last failure of an origin.
type Trouble struct {
	Distribution, Origin string // ids
	At                   time.Time
	Reason               string
}

// maxTroubles bounds the failures that are remembered.
const maxTroubles = 256

// quiet is how long the failures of one origin are not logged again.
const quiet = time.Minute

// troubles are the last failures, the oldest first.
type troubles struct {
	mu  sync.Mutex
	all []trouble
}

type trouble struct {
	Trouble
	logged time.Time
}

// note remembers a failure, and reports whether it is to be logged.
func (t *troubles) note(r *Request, f *Failure, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := trouble{Trouble: Trouble{r.Site.ID, r.Origin.Id, now, f.Reason}, logged: now}
	i := slices.IndexFunc(t.all, func(o trouble) bool {
		return o.Distribution == next.Distribution && o.Origin == next.Origin
	})
	logs := true
	if i >= 0 {
		if old := t.all[i]; old.Reason == f.Reason && now.Sub(old.logged) < quiet {
			next.logged, logs = old.logged, false
		}
		t.all = slices.Delete(t.all, i, i+1)
	} else if len(t.all) >= maxTroubles {
		t.all = slices.Delete(t.all, 0, 1)
	}
	t.all = append(t.all, next)
	return logs
}

// Troubles returns the last failure of each origin, the oldest first.
func (k *Known) Troubles() []Trouble {
	k.troubles.mu.Lock()
	defer k.troubles.mu.Unlock()
	all := make([]Trouble, len(k.troubles.all))
	for i := range all {
		all[i] = k.troubles.all[i].Trouble
	}
	return all
}

// splitList returns the members of a header's list, in lower case and without parameters.
func splitList(v string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(part, ";")
			if !yield(strings.ToLower(strings.TrimSpace(name))) {
				return
			}
		}
	}
}
