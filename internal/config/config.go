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
	LockAfter time.Duration // unused; 0 is never
}

// file is the file as it is written.
type file struct {
	LockAfter *string `toml:"lock_after"`
}

const head = "# Settings of thumbturnd. Written by `thumbturn lock --after`; read at each unlock.\n\n"

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
	if f.LockAfter == nil {
		return Config{LockAfter: Default}, nil
	}
	d, err := time.ParseDuration(*f.LockAfter)
	if err != nil || Check(d) != nil {
		return Config{}, refused(path, `lock_after is no length of time such as "15m", "8h" or "0"`)
	}
	return Config{LockAfter: d}, nil
}

func refused(path, why string) error {
	return fault.New(fault.Usage, "config", path, why).WithHint("mend the file, or remove it: then the vaults lock after " + Default.String())
}

// Check refuses what is no time to lock after.
func Check(after time.Duration) error {
	if after != 0 && after < Least {
		return fault.New(fault.Usage, "config", "", "the vaults stay open for a second at least; 0 is for ever")
	}
	return nil
}

// Write replaces the file.
func Write(dir string, c Config) error {
	if err := Check(c.LockAfter); err != nil {
		return err
	}
	after := c.LockAfter.String()
	b, err := toml.Marshal(file{LockAfter: &after})
	if err != nil {
		return fault.Wrap(fault.Internal, "config", Name, err)
	}
	path := filepath.Join(dir, Name)
	if err := atomicfile.Write(path, append([]byte(head), b...), 0o600); err != nil {
		return fault.Wrap(fault.Unavailable, "config", path, err)
	}
	return nil
}
