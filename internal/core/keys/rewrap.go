package keys

import (
	"crypto/rand"
	"encoding/binary"

	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// A data key of SSE-C that was wrapped anew under another generation: what the customer's
// key wrapped is bound to the generation that it was made under, so that number is kept.
//
//	5 | generation 4 | salt 16 | first generation 4 | ciphertext and tag of the inner one
const (
	schemeRewrapped = 5
	rewrappedHeader = headerSize + 4
)

// stored is a stored data key that only the server's keys or a customer's open.
type stored struct {
	header, sealed []byte
	inner          []byte // what the inner one is bound to before the binding; nil for SSE-S3
}

func parse(wrapped []byte) (s stored, ok bool) {
	if len(wrapped) < headerSize {
		return s, false
	}
	size, header := innerSize, headerSize
	switch wrapped[0] {
	case schemeService:
		size = seal.KeySize
	case schemeCustomer:
		s.inner = wrapped[:headerSize]
	case schemeRewrapped:
		header = rewrappedHeader
	default:
		return s, false
	}
	if len(wrapped) != header+size+tagSize {
		return s, false
	}
	if header == rewrappedHeader {
		s.inner = append([]byte{schemeCustomer}, wrapped[headerSize:rewrappedHeader]...)
		s.inner = append(s.inner, wrapped[5:headerSize]...)
	}
	s.header, s.sealed = wrapped[:header], wrapped[header:]
	return s, true
}

// Generation returns which generation of the root key a stored data key needs; 0 is
// none, for a key of KMS.
func Generation(wrapped []byte) uint32 {
	s, ok := parse(wrapped)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint32(s.header[1:])
}

// Rewrap wraps a data key of SSE-S3 or SSE-C under the current generation of the root
// key, for which no customer's key is needed. It returns false where nothing has to be
// done: under a key of KMS, or if the current generation wrapped it already. It is never
// called inside a transaction or a view.
func (r *Ring) Rewrap(wrapped, binding []byte) ([]byte, bool, error) {
	s, ok := parse(wrapped)
	if !ok {
		return wrapped, false, nil
	}
	current := r.root.Current().Number
	if binary.BigEndian.Uint32(s.header[1:]) == current {
		return wrapped, false, nil
	}
	message, err := r.outer(s, binding)
	if err != nil {
		return wrapped, false, fault.Internal(err)
	}
	if s.inner == nil {
		var salt [saltSize]byte
		rand.Read(salt[:])
		return r.wrap([32]byte(message), Choice{}, salt, binding), true, nil
	}
	// The salt stays: it is the inner one's. Under the new generation it gives a key
	// that has sealed nothing but this message.
	header := make([]byte, rewrappedHeader, rewrappedHeader+innerSize+tagSize)
	header[0] = schemeRewrapped
	binary.BigEndian.PutUint32(header[1:], current)
	copy(header[5:], s.header[5:headerSize])
	copy(header[headerSize:], s.inner[1:5])
	key := r.of(current).key(customerPurpose, header[5:headerSize])
	return once{key.AEAD()}.seal(header, message, bound(header, binding)), true, nil
}

// outer opens what the service key wrapped.
func (r *Ring) outer(s stored, binding []byte) ([]byte, error) {
	service := r.of(binary.BigEndian.Uint32(s.header[1:]))
	if service == nil {
		return nil, seal.ErrCorrupt
	}
	purpose := servicePurpose
	if s.inner != nil {
		purpose = customerPurpose
	}
	key := service.key(purpose, s.header[5:headerSize])
	return once{key.AEAD()}.open(make([]byte, 0, innerSize), s.sealed, bound(s.header, binding))
}
