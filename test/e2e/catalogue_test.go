package e2e

import (
	"slices"
	"testing"

	"watertight/internal/access/action"
	"watertight/test/harness"
)

// TestCatalogueAndTablesAgree: the operations that the catalogue does not mark as
// unbuilt are exactly those that the server has.
func TestCatalogueAndTablesAgree(t *testing.T) {
	s := harness.Start(t)
	for _, service := range action.Services() {
		if service == "watertight" { // commands of the operator have no rows
			continue
		}
		t.Run(service, func(t *testing.T) {
			var rows, known []string
			for _, row := range s.Operations(service) {
				rows = append(rows, row.Name())
			}
			for _, o := range action.Parse(service).Operations {
				if !o.Unbuilt {
					known = append(known, o.Name)
				}
			}
			slices.Sort(rows)
			slices.Sort(known)
			if !slices.Equal(rows, known) {
				t.Errorf("rows %v\ncatalogue %v", rows, known)
			}
		})
	}
}
