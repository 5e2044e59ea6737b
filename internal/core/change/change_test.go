package change_test

import (
	"context"
	"errors"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// event is an audit record that counts its commits.
type event struct {
	err       error
	committed int
}

func (e *event) Entry() (key, value []byte, err error) {
	return []byte("a/event"), []byte("told"), e.err
}
func (e *event) Note(string, ...string) {}
func (e *event) Committed()             { e.committed++ }

func grant(t *testing.T, r authz.Record) authz.Grant {
	return coretest.Grant(t, coretest.Root(coretest.Account, r), arn.Any(), "s3:ListAllMyBuckets")
}

// at reads two keys, that of the change and that of the event.
func at(t *testing.T, s kv.Store) (change, told string) {
	t.Helper()
	err := s.View(t.Context(), func(r kv.Reader) error {
		a, err := r.Get([]byte("x"))
		if err != nil {
			return err
		}
		b, err := r.Get([]byte("a/event"))
		change, told = string(a), string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return change, told
}

func set(tx kv.Tx) error {
	tx.Set([]byte("x"), []byte("1"))
	return nil
}

func TestChangeAndEventLastTogether(t *testing.T) {
	s, e := coretest.Store(t), &event{}
	if err := change.Commit(t.Context(), s, grant(t, e), set); err != nil {
		t.Fatal(err)
	}
	if x, told := at(t, s); x != "1" || told != "told" || e.committed != 1 {
		t.Errorf("change %q, event %q, committed %d times", x, told, e.committed)
	}
}

func TestNeitherLasts(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		event *event
		fn    func(kv.Tx) error
		want  error
	}{
		"the change fails":  {&event{}, func(tx kv.Tx) error { return errors.Join(set(tx), boom) }, boom},
		"the event fails":   {&event{err: boom}, set, boom},
		"nothing to change": {&event{}, func(tx kv.Tx) error { return errors.Join(set(tx), change.ErrUnchanged) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := coretest.Store(t)
			if err := change.Commit(t.Context(), s, grant(t, c.event), c.fn); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if x, told := at(t, s); x != "" || told != "" || c.event.committed != 0 {
				t.Errorf("change %q, event %q, committed %d times", x, told, c.event.committed)
			}
		})
	}
}

func TestWithoutRecord(t *testing.T) {
	s := coretest.Store(t)
	if err := change.Commit(t.Context(), s, grant(t, nil), set); err != nil {
		t.Fatal(err)
	}
	if x, _ := at(t, s); x != "1" {
		t.Error("nothing changed")
	}
}

func TestZeroGrantIsRefused(t *testing.T) {
	s := coretest.Store(t)
	if err := change.Commit(t.Context(), s, authz.Grant{}, set); !fault.Is(err, "AccessDenied") {
		t.Error(err)
	}
	if x, _ := at(t, s); x != "" {
		t.Error("the change was committed")
	}
}

func TestBackgroundNeedsAReason(t *testing.T) {
	s := coretest.Store(t)
	if err := change.Background(t.Context(), s, "", set); err == nil {
		t.Error("an empty reason was accepted")
	}
	if err := change.Background(t.Context(), s, "a test", set); err != nil {
		t.Error(err)
	}
	err := change.Background(context.Background(), s, "a test", func(kv.Tx) error { return change.ErrUnchanged })
	if x, _ := at(t, s); x != "1" || err != nil {
		t.Error(x, err)
	}
}
