package rest

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/storage/digest"
)

// checkIntegrity compares a document with the checksums that were sent for it, in headers
// or trailers.
func checkIntegrity(h http.Header, body sigv4.Body, b []byte, route *Route) error {
	found := false
	if s := h.Get("Content-Md5"); s != "" {
		found = true
		want, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(want) != md5.Size {
			return invalidDigest(s)
		}
		if sum := md5.Sum(b); subtle.ConstantTimeCompare(sum[:], want) != 1 {
			return fault.Of(fault.BadDigest).
				With("ExpectedDigest", hex.EncodeToString(
					want,
				)).With("CalculatedDigest", base64.StdEncoding.EncodeToString(sum[:]))
		}
	}
	if route.ofObject {
		return nil
	}
	for _, a := range digest.All() {
		s := body.Trailer(a.Header())
		if sent := h[a.CanonicalHeader()]; len(sent) > 0 && sent[0] != "" {
			s = sent[0]
		}
		if s == "" {
			continue
		}
		found = true
		want, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(want) != a.Size() {
			return invalidSum(a.Header())
		}
		sum := a.New()
		sum.Write(b)
		if subtle.ConstantTimeCompare(sum.Sum(nil), want) != 1 {
			return fault.New(fault.BadDigest, "The "+string(a)+" you specified did not match the calculated checksum.")
		}
	}
	if route.needsChecksum && !found {
		return missingChecksum()
	}
	return nil
}

func missingChecksum() error {
	return fault.New(fault.InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
}

// sumHeaders are the headers that may declare checksums, also those of trailers.
func sumHeaders() protocol.Initials {
	return protocol.InitialOf("Content-Md5") | protocol.InitialOf("X-Amz-Checksum-") |
		protocol.InitialOf("X-Amz-Trailer")
}

// checkSums refuses checksums that can't be verified: those of an unknown algorithm, empty
// ones, and more than one.
func checkSums(h http.Header) error {
	const prefix = "X-Amz-Checksum-"
	if md5 := h["Content-Md5"]; len(md5) > 0 && md5[0] == "" {
		return invalidDigest("")
	}
	found, empty := 0, ""
	for name, values := range h {
		switch name {
		case prefix + "Algorithm", prefix + "Type", prefix + "Mode":
			continue
		}
		alg, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if _, known := digest.Parse(alg); !known {
			return fault.New(fault.InvalidRequest,
				"The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		found += len(values)
		if slices.Contains(values, "") {
			empty = name
		}
	}
	switch {
	case found > 1:
		return fault.New(fault.InvalidRequest,
			"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case empty != "":
		return invalidSum(empty)
	}
	return nil
}

func invalidDigest(value string) error {
	return fault.Of(fault.InvalidDigest).With("Content-MD5", value)
}

func invalidSum(header string) error {
	return fault.New(fault.InvalidRequest, "Value for "+strings.ToLower(header)+" header is invalid.")
}

// declaresChecksum reports whether there is a checksum, which the reader of a stream compares.
func declaresChecksum(h http.Header) bool {
	for _, a := range digest.All() {
		if h.Get(a.Header()) != "" || strings.EqualFold(strings.TrimSpace(h.Get("X-Amz-Trailer")), a.Header()) {
			return true
		}
	}
	return h.Get("Content-Md5") != ""
}
