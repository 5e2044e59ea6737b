// Package power cuts the power of a whole server at random moments, on a file system that
// keeps only what was synced, and compares what is left with what was acknowledged. It
// contains only tests.
package power
