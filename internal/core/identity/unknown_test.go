package identity

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// TestUnknownFieldsOfSmallRecords: a record that is written again as a whole is refused if it has
// a field of a later program, so that the field is not lost.
func TestUnknownFieldsOfSmallRecords(t *testing.T) {
	const account = "111122223333"
	store := coretest.Store(t)
	for name, c := range map[string]struct {
		record []byte
		read   func(kv.Tx, []byte) error
	}{
		"settings": {record.String(record.Start(nil), fieldAlias, "alias"), func(tx kv.Tx, b []byte) error {
			tx.Set(settingsKey(account), b)
			_, err := readSettings(tx, account)
			return err
		}},
		"report": {record.Bytes(record.Start(nil), fieldReportContent, []byte("x")), func(tx kv.Tx, b []byte) error {
			tx.Set(reportKey(account), b)
			_, err := readReport(tx, account)
			return err
		}},
		"policy version": {
			record.String(record.Uint(record.Start(nil), fieldVersionNumber, 1), fieldVersionDocument, "{}"),
			func(_ kv.Tx, b []byte) error {
				if _, ok := decodeVersion(b); !ok {
					return record.ErrMalformed
				}
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, later := range []int{0, 1000, 2000} {
				b := c.record
				if later != 0 {
					b = record.Uint(append([]byte(nil), b...), protowire.Number(later), 1)
				}
				err := store.Update(t.Context(), func(tx kv.Tx) error { return c.read(tx, b) })
				if (err != nil) != (later != 0) {
					t.Errorf("field %d: %v", later, err)
				}
			}
		})
	}
}
