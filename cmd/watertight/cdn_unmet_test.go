package main

import (
	"testing"

	"watertight/internal/operator"
)

// TestUnmet: the command fails if an existing distribution lacks something that was asked for.
func TestUnmet(t *testing.T) {
	for _, c := range []struct {
		name string
		in   cdnCreate
		is   operator.CDNBucket
		ok   bool
	}{
		{"nothing asked", cdnCreate{}, operator.CDNBucket{}, true},
		{"the alias", cdnCreate{Alias: []string{"A.example"}}, operator.CDNBucket{}, true},
		{"another alias", cdnCreate{Alias: []string{"a.example", "b.example"}}, operator.CDNBucket{}, false},
		{"no key", cdnCreate{KeyPolicy: true}, operator.CDNBucket{}, true},
		{"key", cdnCreate{KeyPolicy: true}, operator.CDNBucket{KeyStatement: "{}"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.is.Aliases, c.is.Enabled = []string{"a.example"}, true
			if err := c.in.unmet(&c.is); (err == nil) != c.ok {
				t.Error(err)
			}
			if c.is.Enabled = false; c.in.unmet(&c.is) == nil {
				t.Error("a disabled distribution is a success")
			}
		})
	}
}
