package crashdisk

// Random draws what a power failure takes; *rand.Rand of math/rand/v2 implements it.
type Random interface {
	Float64() float64
	IntN(n int) int
	Int64N(n int64) int64
}

// Loss says how much of what was not synced a power failure takes. Each number is a
// probability.
type Loss struct {
	Names float64 // that a change of names is lost
	Pages float64 // that a changed page is lost
	Torn  float64 // that only the first sectors of a page that was not lost were written
}

// AnyLoss returns a random Loss: nothing at all, everything, or a part of it.
func AnyLoss(r Random) Loss {
	share := func() float64 {
		switch r.IntN(4) {
		case 0:
			return 0
		case 1:
			return 1
		}
		return r.Float64()
	}
	return Loss{Names: share(), Pages: share(), Torn: share() / 2}
}

// Crash returns the disk as it may be after a power failure at this moment. The disk itself
// goes on.
func (d *Disk) Crash(r Random, l Loss) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := crash{loss: l, r: r, names: map[*node]map[string]*node{}, made: map[*node]*node{}}
	c.keep(d.pending)
	return &Disk{root: c.copy(d.root)}
}

type crash struct {
	loss  Loss
	r     Random
	names map[*node]map[string]*node // of folders in which changes were kept
	made  map[*node]*node            // a file may have several names
}

// keep applies some of the changes of names. A change is lost if an earlier one of the same
// name was.
func (c *crash) keep(pending []*change) {
	var lost []*change
	for _, p := range pending {
		gone := c.r.Float64() < c.loss.Names
		for _, l := range lost {
			gone = gone || l.meets(p)
		}
		if gone {
			lost = append(lost, p)
			continue
		}
		for _, s := range p.at {
			names := c.names[s.dir]
			if names == nil {
				names = map[string]*node{}
				for name, n := range s.dir.durable {
					names[name] = n
				}
				c.names[s.dir] = names
			}
			if s.to == nil {
				delete(names, s.name)
			} else {
				names[s.name] = s.to
			}
		}
	}
}

// copy returns a node and everything under it as they are after the failure.
func (c *crash) copy(n *node) *node {
	if m := c.made[n]; m != nil {
		return m
	}
	m := &node{mode: n.mode, modified: n.modified}
	c.made[n] = m
	if n.names == nil {
		m.synced = c.content(n)
		m.now = content{m.synced.size, append([]*page(nil), m.synced.pages...)}
		m.dirty, m.floor = map[int]bool{}, m.now.size
		return m
	}
	names := c.names[n]
	if names == nil {
		names = n.durable
	}
	m.names, m.durable = map[string]*node{}, map[string]*node{}
	for name, child := range names {
		k := c.copy(child)
		m.names[name], m.durable[name] = k, k
	}
	return m
}

// content returns what a file holds after the failure.
func (c *crash) content(n *node) content {
	out := content{n.synced.size, append([]*page(nil), n.synced.pages...)}
	if n.now.size == n.synced.size && n.floor == n.now.size && len(n.dirty) == 0 {
		return out
	}
	if c.r.Float64() >= c.loss.Pages { // the size is written with the file's description
		for i := int((n.floor + pageSize - 1) / pageSize); i < len(out.pages); i++ {
			out.pages[i] = nil
		}
		out.size = n.now.size
	} else if n.now.size > n.synced.size && c.r.Float64() >= c.loss.Pages {
		out.size += c.r.Int64N(n.now.size - n.synced.size + 1)
	}
	for i := 0; i*pageSize < int(out.size); i++ {
		if !n.dirty[i] || c.r.Float64() < c.loss.Pages {
			continue
		}
		p := *n.now.pages[i] // a copy: the file's own may still change
		if c.r.Float64() < c.loss.Torn {
			at := c.r.IntN(pageSize/sectorSize) * sectorSize
			if i < len(out.pages) && out.pages[i] != nil {
				copy(p[at:], out.pages[i][at:])
			} else {
				clear(p[at:])
			}
		}
		out.set(i, &p)
	}
	out.cut()
	return out
}

// cut clears the bytes after the end, because a later write may make the file longer.
func (c *content) cut() {
	last := int(c.size / pageSize)
	if last < len(c.pages) && c.size%pageSize != 0 && c.pages[last] != nil {
		p := *c.pages[last]
		clear(p[c.size%pageSize:])
		c.pages[last] = &p
		last++
	} else if c.size%pageSize != 0 {
		last++
	}
	if last < len(c.pages) {
		c.pages = c.pages[:last]
	}
}
