// Package config is the daemon's file of settings, daemon.toml in the folder of
// the policy draft. It can only choose among what is safe to leave to whoever can
// write there; what decides about secrets is a signed statement.
package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Name of the file.
const Name = "daemon.toml"

// Default is how long the vaults stay open unused where nothing else is chosen:
// through a working day with its breaks, and not until the next morning.
const Default = 8 * time.Hour

// Least is the shortest time that can be chosen.
const Least = time.Second

// Config is what the file holds.
type Config struct {
	LockAfter   time.Duration // unused; 0 is never
	Fingerprint bool          // a gesture by what is typed takes a finger too
}

// file is the file as it is written.
type file struct {
	LockAfter   *string `toml:"lock_after"`
	Fingerprint bool    `toml:"fingerprint,omitempty"`
}

const head = "# Settings of thumbturnd. `thumbturn lock --after` writes lock_after, read at each unlock.\n# fingerprint is written by hand and read at each gesture: docs/passkeys.md.\n\n"

// Read reads the file in a folder, or gives the default where there is none. A
// file that says anything unknown is refused: who wrote it meant something.
func Read(dir string) (Config, error) {
	path := filepath.Join(dir, Name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{LockAfter: Default}, nil
	}
	if err != nil {
		return Config{}, refused(path, err.Error())
	}
	var f file
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&f); err != nil {
		return Config{}, refused(path, "it is not understood")
	}
	c := Config{LockAfter: Default, Fingerprint: f.Fingerprint}
	if f.LockAfter == nil {
		return c, nil
	}
	d, err := time.ParseDuration(*f.LockAfter)
	if err != nil || Check(d) != nil {
		return Config{}, refused(path, `lock_after is no length of time such as "15m", "8h" or "0"`)
	}
	c.LockAfter = d
	return c, nil
}

func refused(path, why string) error {
	return fault.New(fault.Usage, "config", path, why).WithHint("mend the file, or remove it: then the vaults lock after " + Default.String() + ", and no finger is asked for")
}

// Check refuses what is no time to lock after.
func Check(after time.Duration) error {
	if after != 0 && after < Least {
		return fault.New(fault.Usage, "config", "", "the vaults stay open for a second at least; 0 is for ever")
	}
	return nil
}

// SetLockAfter writes one setting and leaves the others. A file that is not understood
// is left as it is: what it meant to ask for must not be lost.
func SetLockAfter(dir string, after time.Duration) error {
	c, err := Read(dir)
	if err != nil {
		return err
	}
	c.LockAfter = after
	return Write(dir, c)
}

// Write replaces the file.
func Write(dir string, c Config) error {
	if err := Check(c.LockAfter); err != nil {
		return err
	}
	after := c.LockAfter.String()
	b, err := toml.Marshal(file{LockAfter: &after, Fingerprint: c.Fingerprint})
	if err != nil {
		return fault.Wrap(fault.Internal, "config", Name, err)
	}
	path := filepath.Join(dir, Name)
	if err := atomicfile.Write(path, append([]byte(head), b...), 0o600); err != nil {
		return fault.Wrap(fault.Unavailable, "config", path, err)
	}
	return nil
}
