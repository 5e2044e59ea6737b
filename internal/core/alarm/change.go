package alarm

// Change is what was done to one object, or to one of its versions.
type Change struct {
	Key     string
	Version string // id; empty for the object itself
	Counts  Counts // 1 for each kind of change, else 0
}

// Changes are the changes of one request. The zero value has none.
type Changes struct {
	first Change // apart from the others: most requests have one, which needs no memory
	more  []Change
}

// Of returns the changes that a request made to one object.
func Of(key string, n Counts) (c Changes) {
	c.Add(Change{Key: key, Counts: n})
	return c
}

// Add adds a change.
func (c *Changes) Add(ch Change) {
	switch {
	case ch.Counts == (Counts{}):
	case c.Empty():
		c.first = ch
	default:
		c.more = append(c.more, ch)
	}
}

// Empty reports whether there are no changes.
func (c *Changes) Empty() bool { return c.first.Counts == (Counts{}) }

func (c *Changes) each(fn func(*Change)) {
	fn(&c.first)
	for i := range c.more {
		fn(&c.more[i])
	}
}
