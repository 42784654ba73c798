//go:build !linux

package kernel

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/thumbturn/thumbturn/internal/digest"
)

// digestTime bounds the hashing of one file.
const digestTime = 10 * time.Second

// digestAt hashes the file at key's path, if what stands there, now, is what key
// describes, before and after.
func digestAt(ctx context.Context, hashes *digest.Cache[Exe], key Exe, now func() Exe) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, digestTime)
	defer cancel()
	return hashes.Get(ctx, key, key.Size, func() (string, error) {
		f, err := os.Open(key.Path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if now() != key {
			return "", errors.New("kernel: the executable changed")
		}
		sum, err := digest.Of(ctx, f)
		if err == nil && now() != key {
			err = errors.New("kernel: the executable changed")
		}
		return sum, err
	})
}
