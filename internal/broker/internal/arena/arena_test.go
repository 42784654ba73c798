package arena

import (
	"errors"
	"testing"
)

func TestArena(t *testing.T) {
	errGone := errors.New("gone")
	a, err := New(errGone)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	l, free, err := a.Keep([]byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	var inside []byte
	_ = l(func(b []byte) error { inside = b; return nil })
	free()
	free()
	if string(inside) == "seed" {
		t.Error("not wiped")
	}
	if err := l(func([]byte) error { return nil }); err != errGone {
		t.Error("lent after it was forgotten")
	}
	var frees []func()
	for {
		_, f, err := a.Take(3 * pageSize)
		if err != nil {
			break
		}
		frees = append(frees, f)
	}
	if len(frees) != size/pageSize/3 {
		t.Errorf("%d allocations fit", len(frees))
	}
	for _, f := range frees {
		f()
	}
	if a.InUse() != 0 {
		t.Error("pages leaked")
	}
}
