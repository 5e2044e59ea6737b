// Package sim compares a whole server with a small model of S3: random operations of
// several clients at once under every encryption, crashes in between, keys of KMS that
// are disabled for a while, and histories of single keys that must be linearizable. It
// must never know how the server works.
package sim
