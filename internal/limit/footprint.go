package limit

import "reflect"

// Footprint returns the approximate memory of a value in bytes: the value and everything
// that it points to, counted once. It walks the whole value, so it is for values that are
// created rarely and kept long.
func Footprint(v any) int64 {
	w := walker{seen: map[place]bool{}}
	r := reflect.ValueOf(v)
	if !r.IsValid() {
		return 0
	}
	return int64(r.Type().Size()) + w.beyond(r)
}

type place struct {
	at uintptr
	of reflect.Type
}

type walker struct{ seen map[place]bool }

// mapEntry is approximately the size of an entry of a map without its key and value.
const mapEntry = 16

// beyond returns the bytes that a value points to; the value itself is counted with the
// value that contains it.
func (w *walker) beyond(v reflect.Value) (n int64) {
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer:
		if v.IsNil() || w.again(v) {
			return 0
		}
		return int64(v.Type().Elem().Size()) + w.beyond(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int64(v.Elem().Type().Size()) + w.beyond(v.Elem())
	case reflect.Slice:
		if v.IsNil() || v.Cap() > 0 && w.again(v) {
			return 0
		}
		n = int64(v.Cap()) * int64(v.Type().Elem().Size())
		return n + w.each(v)
	case reflect.Array:
		return w.each(v)
	case reflect.Struct:
		for i := range v.NumField() {
			n += w.beyond(v.Field(i))
		}
	case reflect.Map:
		if v.IsNil() || w.again(v) {
			return 0
		}
		own := int64(v.Type().Key().Size()+v.Type().Elem().Size()) + mapEntry
		for i := v.MapRange(); i.Next(); {
			n += own + w.beyond(i.Key()) + w.beyond(i.Value())
		}
	}
	return n
}

func (w *walker) each(v reflect.Value) (n int64) {
	if flat(v.Type().Elem().Kind()) {
		return 0
	}
	for i := range v.Len() {
		n += w.beyond(v.Index(i))
	}
	return n
}

func (w *walker) again(v reflect.Value) bool {
	p := place{v.Pointer(), v.Type()}
	if w.seen[p] {
		return true
	}
	w.seen[p] = true
	return false
}

func flat(k reflect.Kind) bool { return k >= reflect.Bool && k <= reflect.Complex128 }
