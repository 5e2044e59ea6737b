package keys

import (
	"crypto/rand"
	"encoding/binary"

	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// A data key of SSE-C after its generation was replaced. The inner wrapping is bound to the
// generation of the first wrapping, so that number is stored, too:
//
//	5 | generation 4 | salt 16 | first generation 4 | ciphertext and tag of the inner one
const (
	schemeRewrapped = 5
	rewrappedHeader = headerSize + 4
)

// stored is a decoded data key of SSE-S3 or SSE-C.
type stored struct {
	header, sealed []byte
	inner          []byte // what the inner wrapping is bound to, in addition to the binding; nil for SSE-S3
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

// Generation returns the generation of the root key that a stored data key needs, or 0 for
// a data key under a key of KMS.
func Generation(wrapped []byte) uint32 {
	s, ok := parse(wrapped)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint32(s.header[1:])
}

// Rewrap wraps a data key of SSE-S3 or SSE-C under the current generation of the root key.
// It needs no customer's key. It returns false if nothing has to be done: for a data key
// under a key of KMS, and if the current generation wraps it already. It must not be called
// inside a transaction or a view.
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
	// The salt stays, because the inner wrapping uses it. With the service key of the new
	// generation, it yields a wrapping key that has sealed no other message.
	header := make([]byte, rewrappedHeader, rewrappedHeader+innerSize+tagSize)
	header[0] = schemeRewrapped
	binary.BigEndian.PutUint32(header[1:], current)
	copy(header[5:], s.header[5:headerSize])
	copy(header[headerSize:], s.inner[1:5])
	key := r.of(current).key(customerPurpose, header[5:headerSize])
	return once{key.AEAD()}.seal(header, message, bound(header, binding)), true, nil
}

// outer opens the wrapping under the service key.
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
