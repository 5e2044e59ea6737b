// Package sim holds a whole server to a small model of S3: random operations
// of several clients at once, crashes in between, and histories of single keys
// that must be linearizable. It must never know how the server does it.
package sim
