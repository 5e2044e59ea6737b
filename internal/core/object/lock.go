package object

import "time"

// removable reports what keeps a version from being removed at an instant; nil is
// nothing.
func (v *version) removable(at time.Time, bypass bool) error { return nil }
