package mfa

import (
	"crypto/hmac"
	"crypto/sha1" // RFC 6238's default, which every authenticator app supports
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// The parameters of virtual devices (RFC 6238): SHA-1, 6 digits, 30 seconds.
const (
	stepSeconds = 30
	codeDigits  = 6
	codeModulus = 1_000_000
	seedSize    = 40 // bytes: 64 characters in base32
)

// stepAt returns the number of the time step at a time.
func stepAt(at time.Time) int64 { return at.Unix() / stepSeconds }

// codeAt returns the code of a step (RFC 4226, section 5.3).
func codeAt(seed []byte, step int64) string {
	m := hmac.New(sha1.New, seed)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := m.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", codeDigits, n%codeModulus)
}

// findStep returns the step among from..to whose code is the first of codes, followed by
// the others. It compares all steps, so that its duration reveals nothing.
func findStep(seed []byte, from, to int64, codes ...string) (step int64, found bool) {
	for s := from; s <= to; s++ {
		same := 1
		for i, code := range codes {
			same &= subtle.ConstantTimeCompare([]byte(codeAt(seed, s+int64(i))), []byte(code))
		}
		if same == 1 && !found {
			step, found = s, true
		}
	}
	return step, found
}
