package object

import (
	"context"

	"watertight/internal/limit"
)

// pageRoom bounds the memory of pages. A page is in memory until its client has taken it, however slowly, and keys may
// be long: a full page can take six MiB. The beginning of each page is free; what follows counts for who asked. Where
// nothing is left, the page ends early, which clients are prepared for: a request is never refused, and none waits.
type pageRoom struct {
	held *limit.Account
	left int64
}

const (
	freePage = 64 << 10 // bytes of a page that do not count; the number of connections bounds them
	pageStep = 64 << 10 // bytes that are taken at once
	// An entry takes about so many bytes beside its key, and so many for each byte of its key, which may have to be
	// escaped.
	entryCost   = 512
	keyByteCost = 3
)

func newPageRoom(ctx context.Context) pageRoom {
	return pageRoom{held: limit.From(ctx).Answers(), left: freePage}
}

// add counts an entry with a key, or a common prefix, that is on the page. It reports whether another one may follow.
func (r *pageRoom) add(key int) bool {
	cost := entryCost + keyByteCost*int64(key)
	if r.left -= cost; r.left > entryCost {
		return true
	}
	if !r.held.Try(pageStep) {
		return false
	}
	r.left += pageStep
	return true
}
