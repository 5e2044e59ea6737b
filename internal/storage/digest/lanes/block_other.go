//go:build !amd64

package lanes

// width returns how many streams the machine hashes at once.
func width() int { return 1 }

// block8 is never called, since width is 1.
func block8(*[4][most]uint32, *[most]*byte, int) {
	panic("lanes: this machine hashes one stream at a time")
}
