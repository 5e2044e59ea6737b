package embedded_test

import (
	"context"
	"fmt"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/seal"
)

// A transaction can depend on reads from before it began: if these records have changed, its function runs
// again.
func Example() {
	ctx := context.Background()
	s, err := embedded.OpenMemory(ctx, embedded.Options{Root: seal.RingOf(seal.NewKey())})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	set := func(key, value string) error {
		return s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte(key), []byte(value)); return nil })
	}
	get := func(ctx context.Context, key string) (value []byte, err error) {
		err = s.View(ctx, func(r kv.Reader) error {
			value, err = r.Get([]byte(key))
			return err
		})
		return value, err
	}
	fmt.Println(set("policy", "allow"))

	decision := kv.Witnessed(ctx) // remembers the reads under it
	policy, err := get(decision, "policy")
	fmt.Printf("%s %v\n", policy, err)
	fmt.Println(set("policy", "deny")) // meanwhile

	runs := 0
	err = s.Update(ctx, func(tx kv.Tx) error {
		if runs++; runs > 1 { // decide again, from what the transaction reads
			policy, err = get(kv.Through(ctx, tx), "policy")
			return err
		}
		tx.Set([]byte("object"), []byte("bytes"))
		return tx.Rely(decision)
	})
	fmt.Printf("%s %v after %d runs\n", policy, err, runs)
	// Output:
	// <nil>
	// allow <nil>
	// <nil>
	// deny <nil> after 2 runs
}
