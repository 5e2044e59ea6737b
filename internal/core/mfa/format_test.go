package mfa

import (
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/tag"
)

// TestStoredForm: every record of this package is written as docs/FORMAT.md says.
func TestStoredForm(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_000_001).UTC()
	d := &Device{
		Account: coretest.Account, Path: "/", Name: "n", Created: at, Enabled: at,
		Tags: []tag.Tag{{Key: "k", Value: "v"}}, Owner: rootOwner,
		seed: []byte("s"), drift: -3, lastStep: 9, failures: 2, failedAt: at,
	}
	behind := d.encode()
	d.drift = 3
	coretest.Golden(t, "testdata/records.golden", []coretest.Record{
		{Name: "device behind its clock", Bytes: behind}, {Name: "device ahead of its clock", Bytes: d.encode()},
	})
}
