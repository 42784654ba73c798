// Package digest makes SHA-256 digests of large files, and remembers them by
// what tells that a file is the same.
package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"
)

const (
	maxKnown = 256     // digests remembered
	maxSize  = 1 << 30 // bytes; a larger file is not hashed
	chunk    = 1 << 20 // bytes between two looks at the context
)

// Cache remembers digests by keys that change when the file does: device, inode,
// size and times. The first digest of a large program takes most of a second, so
// one runs at a time. NewCache makes one; it is safe for concurrent use.
type Cache[K comparable] struct {
	mu    sync.Mutex
	known map[K]string
	turn  chan struct{}
}

// NewCache returns an empty cache.
func NewCache[K comparable]() *Cache[K] {
	return &Cache[K]{known: map[K]string{}, turn: make(chan struct{}, 1)}
}

// Get returns the remembered digest of key, in hex, or makes it. A failure is
// not remembered; a file of more than 1 GiB is one.
func (h *Cache[K]) Get(ctx context.Context, key K, size int64, digest func() (string, error)) (string, error) {
	if sum, ok := h.look(key); ok {
		return sum, nil
	}
	if size > maxSize {
		return "", errors.New("digest: the file is too large")
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if sum, ok := h.look(key); ok { // whoever had the turn may have made it
		return sum, nil
	}
	sum, err := digest()
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= maxKnown { // start anew: the few in use are made again
		clear(h.known)
	}
	h.known[key] = sum
	return sum, nil
}

func (h *Cache[K]) look(key K) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum, ok := h.known[key]
	return sum, ok
}

// Of is the SHA-256 of all that r holds, in hex.
func Of(ctx context.Context, r io.Reader) (string, error) {
	sum := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		switch _, err := io.CopyN(sum, r, chunk); {
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(sum.Sum(nil)), nil
		case err != nil:
			return "", err
		}
	}
}
