// Package limit bounds what one process holds in memory: what is kept between
// requests, by Cache, and what requests hold while their documents are read, by
// Memory. It exists so that neither grows with what somebody sends. It must
// never know what it counts.
package limit
