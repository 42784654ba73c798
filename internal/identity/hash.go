package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"
)

const (
	maxHashes = 256     // digests remembered
	maxExe    = 1 << 30 // bytes; a larger file is not hashed
	hashChunk = 1 << 20 // bytes between two looks at the context
)

// hashes remembers digests by device, inode, size and times. The first hash of
// a large agent takes most of a second, so one runs at a time.
type hashes struct {
	mu    sync.Mutex
	known map[Exe]string
	turn  chan struct{}
}

func newHashes() *hashes {
	return &hashes{known: map[Exe]string{}, turn: make(chan struct{}, 1)}
}

// get returns the remembered digest of key or makes it. A failure is not
// remembered.
func (h *hashes) get(ctx context.Context, key Exe, digest func() (string, error)) (string, error) {
	if sum, ok := h.look(key); ok {
		return sum, nil
	}
	if key.Size > maxExe {
		return "", errors.New("identity: the executable is too large to hash")
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
	if len(h.known) >= maxHashes { // start anew: the few in use are made again
		clear(h.known)
	}
	h.known[key] = sum
	return sum, nil
}

func (h *hashes) look(key Exe) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum, ok := h.known[key]
	return sum, ok
}

// digestReader is the SHA-256 of all that r holds, in hex.
func digestReader(ctx context.Context, r io.Reader) (string, error) {
	sum := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		switch _, err := io.CopyN(sum, r, hashChunk); {
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(sum.Sum(nil)), nil
		case err != nil:
			return "", err
		}
	}
}
