// Package sim compares a whole server with a small model of S3: random operations of
// several clients at once, crashes in between, and histories of single keys that must
// be linearizable. It must never know how the server works.
package sim
