package kms

import (
	"time"

	"watertight/internal/fault"
)

// State is the state of a key, which decides what it can be used for. The numbers are stored.
type State uint8

// The states (KMS developer guide, "Key states of AWS KMS keys").
const (
	Enabled         State = 1
	Disabled        State = 2
	PendingDeletion State = 3
	PendingImport   State = 4
)

func (s State) known() bool { return s >= Enabled && s <= PendingImport }

// String returns the API's name of the state.
func (s State) String() string {
	names := [...]string{"", "Enabled", "Disabled", "PendingDeletion", "PendingImport"}
	if !s.known() {
		return "Unavailable"
	}
	return names[s]
}

// hasMaterial reports whether the key has material at a time. Expired material does not
// count even if it was not removed yet.
func (k *keyRecord) hasMaterial(at time.Time) bool {
	return k.current != (MaterialID{}) && (k.validTo.IsZero() || at.Before(k.validTo))
}

// stateAt returns the state at a time. A key without material is pending import, unless its
// deletion is pending.
func (k *keyRecord) stateAt(at time.Time) State {
	if k.state != PendingDeletion && !k.hasMaterial(at) {
		return PendingImport
	}
	return k.state
}

// isDestroyed reports whether the waiting period of a key's deletion has ended. The key
// then counts as destroyed even if its records were not removed yet.
func (k *keyRecord) isDestroyed(at time.Time) bool {
	return k.state == PendingDeletion && !at.Before(k.ends)
}

// operation is a group of API operations that are refused in the same states.
type operation uint8

const (
	toUse            operation = iota // Encrypt, Decrypt, ReEncrypt, GenerateDataKey*, CreateGrant
	toEnable                          // EnableKey, DisableKey
	toRotate                          // EnableKeyRotation, DisableKeyRotation, RotateKeyOnDemand
	toCancel                          // CancelKeyDeletion
	toChange                          // CreateAlias, UpdateAlias, UpdateKeyDescription, TagResource, UntagResource
	toRead                            // DescribeKey, policies, listings, RevokeGrant, RetireGrant, DeleteAlias
	toSchedule                        // ScheduleKeyDeletion
	toImport                          // GetParametersForImport, ImportKeyMaterial
	toDeleteMaterial                  // DeleteImportedKeyMaterial
	operations
)

// outcome says whether a state allows an operation, or which error it causes.
type outcome uint8

const (
	passes             outcome = iota
	isDisabled                 // DisabledException
	isPendingDeletion          // KMSInvalidStateException
	isPendingImport            // KMSInvalidStateException
	notPendingDeletion         // KMSInvalidStateException
	unsupported                // UnsupportedOperationException
)

// outcomes says which operations a state allows (KMS developer guide, "Key states of
// AWS KMS keys", table "Key states and API operations"). ReEncrypt from a key that is
// pending deletion is refused, although that table lets it pass.
func outcomes(s State) [operations]outcome {
	switch s {
	case Enabled:
		return [operations]outcome{toCancel: notPendingDeletion}
	case Disabled:
		return [operations]outcome{toUse: isDisabled, toRotate: isDisabled, toCancel: notPendingDeletion}
	case PendingDeletion:
		return [operations]outcome{
			toUse: isPendingDeletion, toEnable: isPendingDeletion, toRotate: isPendingDeletion,
			toChange: isPendingDeletion, toSchedule: isPendingDeletion, toImport: isPendingDeletion,
		}
	default: // PendingImport
		return [operations]outcome{
			toUse: isPendingImport, toEnable: isPendingImport, toRotate: unsupported, toCancel: notPendingDeletion,
		}
	}
}

// check refuses an operation that the key's state does not allow.
// Errors: DisabledException, KMSInvalidStateException, UnsupportedOperationException.
func (k *keyRecord) check(o operation, at time.Time) error {
	state := k.stateAt(at)
	if outcomes(state)[o] == passes { // the usual case, which needs no text of the ARN
		return nil
	}
	return checkState(state, o, k.text())
}

// checkState is check for a key with a name in a state.
func checkState(state State, o operation, name string) error {
	switch outcomes(state)[o] {
	case passes:
		return nil
	case isDisabled:
		return fault.New(fault.DisabledException, name+" is disabled.")
	case isPendingDeletion:
		return invalidState(name + " is pending deletion.")
	case isPendingImport:
		return invalidState(name + " is pending import.")
	case notPendingDeletion:
		return invalidState(name + " is not pending deletion.")
	}
	return notForImported(name)
}

func invalidState(message string) error { return fault.New(fault.KMSInvalidStateException, message) }

func notForImported(name string) error {
	return fault.New(fault.UnsupportedOperationException,
		name+" origin is EXTERNAL which is not valid for this operation.")
}
