package cdn

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

// model is what callers should see: a map from ids to distributions.
type model struct {
	*env
	oac   OriginAccessControl
	have  map[string]Distribution
	stale map[string]string // older ETags
}

// TestModel: after any sequence of operations, the store and its edge agree with a map from
// ids to configurations. When everything is deleted, no record remains.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{env: newEnv(t), have: map[string]Distribution{}, stale: map[string]string{}}
		m.oac = m.accessControl("oac")
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.creates, "update": m.updates, "delete": m.deletes, "invalidate": m.invalidates, "": m.compare,
		})
		for _, d := range m.have {
			if d.Config.Enabled {
				c, err := d.Config, error(nil)
				c.Enabled = false
				d, err = m.update(&d, c)
				m.want(rt, err, "")
			}
			m.want(rt, m.delete(&d), "")
		}
		if left := m.dump(); len(left) != 3 { // the access control, its name and its place in the list
			rt.Fatalf("left: %q", left)
		}
	})
}

// want reports whether an operation should have succeeded, and fails the test if its outcome
// was different.
func (m *model) want(rt *rapid.T, err error, code fault.Code) bool {
	if code == "" && err != nil || code != "" && !fault.Is(err, code) {
		rt.Fatalf("got %v, want %q", err, code)
	}
	return code == ""
}

func (m *model) draw(rt *rapid.T) distribution.Config {
	hosts := rapid.SampledFrom([]string{"a.example.com", "b.example.com", "*.example.com"})
	aliases := rapid.SliceOfNDistinct(hosts, 0, 2, rapid.ID).Draw(rt, "hosts")
	c := configOf(fmt.Sprint(rapid.IntRange(0, 4).Draw(rt, "reference")), aliases...)
	c.Enabled = rapid.Bool().Draw(rt, "enabled")
	if rapid.Bool().Draw(rt, "access control") {
		c.Origins.Items[0].OriginAccessControlId = m.oac.ID
	}
	return c
}

func (m *model) pick(rt *rapid.T) (Distribution, bool) {
	if len(m.have) == 0 {
		return Distribution{}, false
	}
	return m.have[rapid.SampledFrom(slices.Sorted(maps.Keys(m.have))).Draw(rt, "id")], true
}

// taken returns why a distribution other than id can't have a configuration.
func (m *model) taken(id string, c distribution.Config) fault.Code {
	for other, d := range m.have {
		if other != id && slices.ContainsFunc(c.Aliases.Items, func(h string) bool {
			return slices.Contains(d.Config.Aliases.Items, h)
		}) {
			return fault.CNAMEAlreadyExists
		}
	}
	return ""
}

func (m *model) creates(rt *rapid.T) {
	c := m.draw(rt)
	code := m.taken("", c)
	for _, d := range m.have {
		if d.Config.CallerReference == c.CallerReference {
			code = fault.DistributionAlreadyExists
		}
	}
	if d, err := m.create(coretest.Account, c); m.want(rt, err, code) {
		m.have[d.ID] = d
	}
}

func (m *model) updates(rt *rapid.T) {
	d, ok := m.pick(rt)
	if !ok {
		return
	}
	c, old := m.draw(rt), d.ETag
	code := m.taken(d.ID, c)
	if c.CallerReference != d.Config.CallerReference {
		code = fault.IllegalUpdate
	}
	if stale := m.stale[d.ID]; stale != "" && rapid.Bool().Draw(rt, "stale") {
		d.ETag, code = stale, fault.PreconditionFailed
	}
	if d, err := m.update(&d, c); m.want(rt, err, code) {
		m.have[d.ID], m.stale[d.ID] = d, old
	}
}

func (m *model) deletes(rt *rapid.T) {
	d, ok := m.pick(rt)
	if !ok {
		return
	}
	code := fault.Code("")
	if d.Config.Enabled {
		code = fault.DistributionNotDisabled
	}
	if m.want(rt, m.delete(&d), code) {
		delete(m.have, d.ID)
	}
}

func (m *model) invalidates(rt *rapid.T) {
	if d, ok := m.pick(rt); ok {
		_, err := m.invalidate(d.ID, rapid.StringN(1, 3, -1).Draw(rt, "reference"), "/*")
		m.want(rt, err, "")
	}
}

// compare compares what callers read, and what the edge serves, with the model.
func (m *model) compare(rt *rapid.T) {
	used, serving := false, 0
	for id, d := range m.have {
		got, err := m.get(coretest.Account, id)
		if err != nil || got.ETag != d.ETag || got.Config.Enabled != d.Config.Enabled {
			rt.Fatalf("got %+v, %v", got, err)
		}
		if (m.site(id) != nil) != d.Config.Enabled {
			rt.Fatalf("%s is served: %v", id, m.site(id) != nil)
		}
		if d.Config.Enabled {
			serving++
		}
		used = used || d.Config.Origins.Items[0].OriginAccessControlId != ""
	}
	if len(m.edge.Sites) != serving {
		rt.Fatalf("the edge serves %d of %d", len(m.edge.Sites), serving)
	}
	if used {
		g := m.grant(coretest.Account, "DeleteOriginAccessControl", "origin-access-control/"+m.oac.ID)
		err := m.s.DeleteOriginAccessControl(m.Context(), g, m.oac.ID, m.oac.ETag)
		m.want(rt, err, fault.OriginAccessControlInUse)
	}
}
