package lanes

import "golang.org/x/sys/cpu"

// width returns how many streams the machine hashes at once.
func width() int {
	if cpu.X86.HasAVX2 {
		return most
	}
	return 1
}

// block8 hashes so many blocks of 64 bytes of each stream. state holds a, b, c and d of all
// streams. It needs AVX2.
//
//go:noescape
func block8(state *[4][most]uint32, data *[most]*byte, blocks int)
