package s3

import (
	"encoding/base64"
	"slices"
	"strings"

	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/storage/digest"
)

// sumField returns the field of a shape for an algorithm's checksum.
func sumField(s *shape.Sums, a digest.Algorithm) *string {
	switch a {
	case digest.CRC32:
		return &s.ChecksumCRC32
	case digest.CRC32C:
		return &s.ChecksumCRC32C
	case digest.CRC64NVME:
		return &s.ChecksumCRC64NVME
	case digest.MD5:
		return &s.ChecksumMD5
	case digest.SHA1:
		return &s.ChecksumSHA1
	case digest.SHA256:
		return &s.ChecksumSHA256
	case digest.SHA512:
		return &s.ChecksumSHA512
	case digest.XXHash128:
		return &s.ChecksumXXHASH128
	case digest.XXHash3:
		return &s.ChecksumXXHASH3
	default:
		return &s.ChecksumXXHASH64
	}
}

// sums returns the header fields of a response with a checksum.
func sums(c object.Checksum) (s shape.Sums) {
	if known(c) {
		*sumField(&s, c.Algorithm) = c.String()
	}
	return s
}

// known reports whether there is a checksum that the caller may see without another key.
func known(c object.Checksum) bool { return c.Algorithm != digest.None && c.Sum != nil }

func checksums(c object.Checksum) shape.Checksums {
	if !known(c) {
		return shape.Checksums{}
	}
	return shape.Checksums{Sums: sums(c), ChecksumType: string(c.Type)}
}

// sent returns the algorithms whose checksums are set.
func sent(s *shape.Sums) (all []digest.Algorithm) {
	if *s == (shape.Sums{}) {
		return nil
	}
	for _, a := range digest.All() {
		if *sumField(s, a) != "" {
			all = append(all, a)
		}
	}
	return all
}

// algorithm decodes the name of a checksum algorithm; an empty name is None.
func algorithm(name string) (digest.Algorithm, error) {
	if name == "" {
		return digest.None, nil
	}
	a, ok := digest.Parse(name)
	if !ok {
		return "", invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the " +
			"valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")
	}
	return a, nil
}

func invalidRequest(message string) error {
	return fault.New(fault.InvalidRequest, message)
}

func invalidHeader(name string) error {
	return invalidRequest("Value for " + name + " header is invalid.")
}

// trailing returns the algorithms whose checksums a trailer is announced to have.
func trailing(trailer string) []digest.Algorithm {
	if trailer == "" {
		return nil
	}
	names := strings.Split(strings.ToLower(strings.ReplaceAll(trailer, " ", "")), ",")
	return slices.DeleteFunc(digest.All(), func(a digest.Algorithm) bool { return !slices.Contains(names, a.Header()) })
}

// declared returns what the client declares about the body. expect returns the declared
// checksum, which may come in a trailer after the body; it is nil if none is declared.
func declared(
	in *shape.Integrity, body sigv4.Body,
) (alg digest.Algorithm, md5 []byte, expect func() (object.Expected, error), err error) {
	if in.ContentMD5 != "" {
		if md5, err = base64.StdEncoding.DecodeString(in.ContentMD5); err != nil {
			return "", nil, nil, fault.Of(fault.InvalidDigest).With("Content-MD5", in.ContentMD5)
		}
	}
	named, err := algorithm(in.ChecksumAlgorithm)
	if err != nil {
		return "", nil, nil, err
	}
	found := sent(&in.Sums)
	announced := trailing(in.Trailer)
	switch {
	case len(found)+len(announced) > 1:
		return "", nil, nil, invalidRequest(
			"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case len(found)+len(announced) == 1:
		alg = append(found, announced...)[0]
		if named != digest.None && named != alg {
			return "", nil, nil, invalidHeader("x-amz-sdk-checksum-algorithm")
		}
		if len(found) > 0 {
			sum, err := decodeSum(alg, *sumField(&in.Sums, alg), "")
			return alg, md5, func() (object.Expected, error) { return object.Expected{Sum: sum}, nil }, err
		}
		of := alg
		return alg, md5, func() (object.Expected, error) {
			sum, err := decodeSum(of, body.Trailer(of.Header()), " trailing")
			return object.Expected{Sum: sum}, err
		}, nil
	case named != digest.None && in.ContentMD5 == "":
		return "", nil, nil, invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding " +
			"x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return named, md5, nil, nil
}

// decodeSum decodes a checksum. kind is part of the error: "" for a header, " trailing" for
// a trailer.
func decodeSum(a digest.Algorithm, value, kind string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(b) != a.Size() {
		return nil, invalidRequest("Value for " + a.Header() + kind + " header is invalid.")
	}
	return b, nil
}
