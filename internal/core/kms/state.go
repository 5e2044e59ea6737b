package kms

import (
	"time"

	"watertight/internal/fault"
)

// State is what a key can do. The numbers are stored.
type State uint8

// The states (KMS developer guide, "Key states of AWS KMS keys").
const (
	Enabled         State = 1
	Disabled        State = 2
	PendingDeletion State = 3
	PendingImport   State = 4
)

func (s State) known() bool { return s >= Enabled && s <= PendingImport }

// String is the API's name.
func (s State) String() string {
	names := [...]string{"", "Enabled", "Disabled", "PendingDeletion", "PendingImport"}
	if !s.known() {
		return "Unavailable"
	}
	return names[s]
}

// hasMaterial reports whether the key has material at an instant: imported material
// expires at its instant, whether or not it was removed yet.
func (k *keyRecord) hasMaterial(at time.Time) bool {
	return k.current != (MaterialID{}) && (k.validTo.IsZero() || at.Before(k.validTo))
}

// stateAt is the state at an instant. A key without material is pending import,
// unless its deletion is pending.
func (k *keyRecord) stateAt(at time.Time) State {
	if k.state != PendingDeletion && !k.hasMaterial(at) {
		return PendingImport
	}
	return k.state
}

// isDestroyed reports whether the window of a key's deletion has ended: the key is no
// more, whether or not its records were removed yet.
func (k *keyRecord) isDestroyed(at time.Time) bool {
	return k.state == PendingDeletion && !at.Before(k.ends)
}

// operation is a group of operations that the same states refuse.
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

// outcome is what a state makes of an operation.
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
	if outcomes(state)[o] == passes { // usual, and needs no name
		return nil
	}
	return checkState(state, o, k.arn().String())
}

// checkState is check for a key of this name in a state.
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
