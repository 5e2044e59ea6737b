package mfa

import (
	"crypto/hmac"
	"crypto/sha1" // RFC 6238's default, which every authenticator app supports
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"time"
)

// Algorithm is the hash that a device makes its codes with (RFC 6238, section 1.2).
// The numbers are stored.
type Algorithm uint8

// The algorithms.
const (
	SHA1 Algorithm = iota
	SHA256
)

// String returns the algorithm's name as flags and otpauth URLs have it.
func (a Algorithm) String() string {
	if a == SHA256 {
		return "SHA256"
	}
	return "SHA1"
}

func (a Algorithm) hash() func() hash.Hash {
	if a == SHA256 {
		return sha256.New
	}
	return sha1.New
}

// Codes have six digits, and those of virtual devices last 30 seconds, as AWS
// documents it.
const (
	shortStep   = 30 // seconds
	longStep    = 60
	codeDigits  = 6
	codeModulus = 1_000_000
)

// Bytes of a seed. RFC 4226, section 4, asks for 128 bits at least.
const (
	virtualSeed  = 40 // 64 characters in base32
	shortestSeed = 16
	longestSeed  = 128
)

// generator makes the codes of a device (RFC 6238). The seed must never be logged.
type generator struct {
	seed      []byte
	step      int64 // seconds
	algorithm Algorithm
}

// valid reports whether devices may have these parameters.
func (g generator) valid() bool {
	return len(g.seed) > 0 && (g.step == shortStep || g.step == longStep) && g.algorithm <= SHA256
}

// stepAt returns the number of the time step at a time.
func (g generator) stepAt(at time.Time) int64 { return at.Unix() / g.step }

// codeAt returns the code of a step (RFC 4226, section 5.3).
func (g generator) codeAt(step int64) string {
	m := hmac.New(g.algorithm.hash(), g.seed)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := m.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", codeDigits, n%codeModulus)
}

// find returns the step among from..to whose code is the first of codes, followed by the
// others. It compares all steps, so that its duration reveals nothing.
func (g generator) find(from, to int64, codes ...string) (step int64, found bool) {
	for s := from; s <= to; s++ {
		same := 1
		for i, code := range codes {
			same &= subtle.ConstantTimeCompare([]byte(g.codeAt(s+int64(i))), []byte(code))
		}
		if same == 1 && !found {
			step, found = s, true
		}
	}
	return step, found
}
