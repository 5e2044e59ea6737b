package seal_test

import (
	"fmt"

	"watertight/internal/storage/seal"
)

// A data key seals one stream. It is stored wrapped under another key, and bound to the object that it
// belongs to.
func Example() {
	master, dataKey := seal.NewKey(), seal.NewKey()
	sealed := seal.Seal(dataKey, nil, []byte("hello"))
	wrapped := master.Wrap(dataKey, []byte("bucket/key"))

	k, err := master.Unwrap(wrapped, []byte("bucket/key"))
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := seal.Open(k, nil, sealed)
	fmt.Printf("%s %v, %d bytes sealed\n", plain, err, len(sealed))

	_, err = master.Unwrap(wrapped, []byte("bucket/another key"))
	fmt.Println("bound to another object:", err != nil)
	sealed[0] ^= 1
	_, err = seal.Open(k, nil, sealed)
	fmt.Println("changed:", err != nil)
	// Output:
	// hello <nil>, 21 bytes sealed
	// bound to another object: true
	// changed: true
}
