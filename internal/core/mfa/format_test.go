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
		codes: generator{seed: []byte("s"), step: shortStep}, drift: -3, lastStep: 9, failures: 2, failedAt: at,
	}
	behind := d.encode()
	d.drift = 3
	ahead := d.encode()
	token := &Device{
		Account: coretest.Account, Name: "GAHT12345678", Hardware: true, Created: at,
		codes: generator{seed: []byte("s"), step: longStep, algorithm: SHA256},
	}
	coretest.Golden(t, "testdata/records.golden", []coretest.Record{
		{Name: "device behind its clock", Bytes: behind}, {Name: "device ahead of its clock", Bytes: ahead},
		{Name: "hardware token", Bytes: token.encode()},
	})
}
