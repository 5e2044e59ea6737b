package cdn

import (
	"time"

	"watertight/internal/storage/kv"
)

// Restored notes that the store is an older state that an operator accepted, at this time. Edges
// may have generations and invalidations of the state that was given up, and would take those that
// get the same numbers for their own. So the numbers jump to the time, which is above all that were
// given and above those of a restore before. Every edge then gets the configuration, and drops what
// it has cached.
func Restored(tx kv.Tx, at time.Time) error {
	if err := tx.Lock([]byte(statePrefix), kv.Exclusive); err != nil {
		return err
	}
	st, err := readState(tx)
	if err != nil {
		return err
	}
	now := uint64(max(at.UnixMicro(), 0))
	st.generation, st.number = max(st.generation, now)+1, max(st.number, now)+1
	st.oldest = st.number + 1
	st.write(tx)
	return nil
}
