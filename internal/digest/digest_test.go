package digest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

// file is a key such as callers have.
type file struct {
	Dev, Inode   uint64
	Size         int64
	Mtime, Ctime int64
}

func TestHashes(t *testing.T) {
	h := NewCache[file]()
	made := 0
	get := func(key file) (string, error) {
		return h.Get(t.Context(), key, key.Size, func() (string, error) { made++; return "sum", nil })
	}
	for range 3 {
		if sum, err := get(file{Inode: 1}); sum != "sum" || err != nil {
			t.Fatal(sum, err)
		}
	}
	for _, key := range []file{{Inode: 1, Ctime: 1}, {Inode: 1, Mtime: 1}, {Inode: 1, Size: 1}, {Inode: 1, Dev: 1}} {
		if _, err := get(key); err != nil {
			t.Fatal(err)
		}
	}
	if made != 5 {
		t.Errorf("made %d digests, want one per file and state of it", made)
	}
	for i := range uint64(maxKnown * 2) {
		if _, err := get(file{Inode: 100 + i}); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.known) > maxKnown {
		t.Errorf("%d remembered", len(h.known))
	}
	if _, err := get(file{Size: maxSize + 1}); err == nil {
		t.Error("a huge file was hashed")
	}
}

func TestHashFailureIsNotRemembered(t *testing.T) {
	h := NewCache[file]()
	if _, err := h.Get(t.Context(), file{}, 0, func() (string, error) { return "", errors.New("changed") }); err == nil {
		t.Fatal("no error")
	}
	if sum, err := h.Get(t.Context(), file{}, 0, func() (string, error) { return "sum", nil }); sum != "sum" || err != nil {
		t.Fatal(sum, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Of(ctx, strings.NewReader("x")); err == nil {
		t.Error("hashed on after the end of the context")
	}
	h.turn <- struct{}{}
	if _, err := h.Get(ctx, file{Inode: 1}, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("waited for a turn: %v", err)
	}
}

func TestHashesAtOnce(t *testing.T) {
	h := NewCache[file]()
	var wg sync.WaitGroup
	made := 0 // written by whoever has the turn
	for range 8 {
		wg.Go(func() {
			if _, err := h.Get(t.Context(), file{Inode: 1}, 0, func() (string, error) { made++; return "sum", nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}

func TestDigestReader(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	if sum, err := Of(t.Context(), strings.NewReader("abc")); sum != abc || err != nil {
		t.Error(sum, err)
	}
}
