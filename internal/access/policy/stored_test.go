package policy

import (
	"fmt"
	"testing"
)

// TestStoredNumbers: the kinds of principals keep their numbers, which records of sessions contain.
func TestStoredNumbers(t *testing.T) {
	for kind, number := range map[PrincipalKind]uint8{
		Nobody: 0, Anonymous: 1, AccountRoot: 2, User: 3, RoleSession: 4, FederatedUser: 5, Service: 6, WebIdentity: 7,
	} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			if uint8(kind) != number {
				t.Errorf("%d, want %d", kind, number)
			}
		})
	}
}
