package server

// row is a row of connections in the order in which they joined it. It needs no memory: a connection has
// its places in rows itself, because each request changes them several times. The zero row is empty.
type row struct {
	first, last *place
	n           int
}

// place is a connection's place in a row.
type place struct {
	of             *guest
	before, behind *place
	taken          bool // it is in a row
}

// Len returns how many connections are in the row.
func (r *row) Len() int { return r.n }

// Front returns the connection that has been there longest, or nil.
func (r *row) Front() *guest {
	if r.first == nil {
		return nil
	}
	return r.first.of
}

// PushBack adds a place, which is in no row.
func (r *row) PushBack(p *place) {
	p.before, p.behind, p.taken = r.last, nil, true
	if r.last != nil {
		r.last.behind = p
	} else {
		r.first = p
	}
	r.last = p
	r.n++
}

// Remove removes a place, which is in this row.
func (r *row) Remove(p *place) {
	if p.before != nil {
		p.before.behind = p.behind
	} else {
		r.first = p.behind
	}
	if p.behind != nil {
		p.behind.before = p.before
	} else {
		r.last = p.before
	}
	p.before, p.behind, p.taken = nil, nil, false
	r.n--
}
