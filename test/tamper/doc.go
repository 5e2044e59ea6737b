// Package tamper edits the files of a data directory in every way that needs no key, and
// starts a server on the result. Either all answers are right, or the start, or a request
// that needs what was edited, is refused. It exists because somebody who may write the disk
// is an attacker (docs/THREATS.md).
package tamper
