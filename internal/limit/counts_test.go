package limit

import "testing"

// TestCount: a cache counts what it had and what it had not.
func TestCount(t *testing.T) {
	c := texts(1 << 12)
	c.Get("a")
	c.Put("a", "b")
	c.Get("a")
	c.Get("a")
	if got := c.Count(); got != (Count{Hits: 2, Misses: 1}) {
		t.Errorf("%+v", got)
	}
}

// TestUse: a budget says what each class holds, may hold, and was refused.
func TestUse(t *testing.T) {
	m := NewMemory(8 << 20)
	a := m.Open(nil)
	defer a.Close()
	if err := a.Take(t.Context(), Allowance+1000); err != nil {
		t.Fatal(err)
	}
	if got := m.Use(Stranger); got != (Use{Held: 1000, Most: 1 << 20}) {
		t.Errorf("%+v", got)
	}
	b := m.Open(nil)
	defer b.Close()
	if err := b.Take(t.Context(), 2<<20); err == nil {
		t.Fatal("a stranger takes more than its budget")
	}
	if got := m.Use(Stranger).Refused; got != 1 {
		t.Errorf("%d were refused", got)
	}
	if got := m.Use(Caller); got != (Use{Most: 6 << 20}) {
		t.Errorf("callers: %+v", got)
	}
	if got := m.Use(Root); got != (Use{Most: 8 << 20}) {
		t.Errorf("root users: %+v", got)
	}
}
