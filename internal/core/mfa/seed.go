package mfa

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"watertight/internal/fault"
)

// Seed is the secret of a device, in the text form that its vendor supplies. Printing a
// Seed does not show it.
type Seed string

// Format implements fmt.Formatter and keeps the seed out of logs.
func (Seed) Format(f fmt.State, _ rune) { io.WriteString(f, "[seed]") }

// bytes decodes the seed: as hexadecimal if that is possible, else as base32. White space,
// hyphens and padding are ignored. No error names the seed. Error: InvalidInput.
func (s Seed) bytes() ([]byte, error) {
	digits := strings.ToUpper(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n-", r) {
			return -1
		}
		return r
	}, string(s)))
	digits = strings.TrimRight(digits, "=")
	b, err := hex.DecodeString(digits)
	if err != nil {
		b, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(digits)
	}
	switch {
	case err != nil:
		return nil, fault.New(fault.InvalidInput, "The seed is neither hexadecimal nor base32.")
	case len(b) < shortestSeed || len(b) > longestSeed:
		return nil, fault.New(fault.InvalidInput, fmt.Sprintf("The seed has %d bytes. It must have %d to %d.", len(b),
			shortestSeed, longestSeed))
	}
	return b, nil
}
