package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestRead(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": Default, "# nothing\n": Default, `lock_after = "15m"`: 15 * time.Minute, `lock_after = "0"`: 0, `lock_after = "0s"`: 0,
		`lock_after = "1s"`: time.Second, `lock_after = "1h30m"`: 90 * time.Minute,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Read(dir); err != nil || c.LockAfter != want {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	for _, text := range []string{`lock_after = 15`, `lock_after = "15"`, `lock_after = "-1h"`, `lock_after = "999ms"`, `lock_after = ""`, `lock_after = "soon"`,
		`lockafter = "15m"`, `lock_after = "15m"` + "\n" + `other = 1`, "[lock]\nafter = \"15m\"", `lock_after = "15m`, "\x00"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Read(dir); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	for text, want := range map[string]bool{"": false, "fingerprint = true": true, "fingerprint = false": false, "fingerprint = true\nlock_after = \"1h\"": true} {
		if c, err := Read(holding(t, text)); err != nil || c.Fingerprint != want {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	for _, text := range []string{"fingerprint = 1", `fingerprint = "true"`, "fingerprint = yes", "fingerprint", "Fingerprint2 = true", "fingerprints = true",
		"fingerprint = true\nfingerprint = false", "fingerprint = []", "fingerprint = true\nlock_after = 1"} {
		if c, err := Read(holding(t, text)); !fault.Is(err, fault.Usage) || c.Fingerprint {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, Name), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); !fault.Is(err, fault.Usage) {
		t.Errorf("a folder in its place: %v", err)
	}
}

// holding is a folder with a file of settings.
func holding(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// One setting is written and the other stays; what is not understood stays whole.
func TestSetLockAfter(t *testing.T) {
	for _, text := range []string{"fingerprint = true", "fingerprint = true\nlock_after = \"1h\"", "lock_after = \"1h\"", ""} {
		dir := holding(t, text)
		was, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		was.LockAfter = time.Minute
		if err := SetLockAfter(dir, time.Minute); err != nil {
			t.Fatal(err)
		}
		if c, err := Read(dir); err != nil || c != was {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	dir := holding(t, "fingerprint = sometimes")
	if err := SetLockAfter(dir, time.Minute); !fault.Is(err, fault.Usage) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, Name)); string(b) != "fingerprint = sometimes" {
		t.Errorf("%q", b)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if c, err := Read(dir); err != nil || c.LockAfter != Default {
		t.Errorf("no file: %v, %v", c, err)
	}
	for _, d := range []time.Duration{0, time.Second, 15 * time.Minute, 30 * 24 * time.Hour} {
		if err := Write(dir, Config{LockAfter: d}); err != nil {
			t.Fatal(err)
		}
		if c, err := Read(dir); err != nil || c.LockAfter != d {
			t.Errorf("%v: %v, %v", d, c, err)
		}
	}
	for _, d := range []time.Duration{-1, time.Millisecond} {
		if err := Write(dir, Config{LockAfter: d}); !fault.Is(err, fault.Usage) {
			t.Errorf("%v: %v", d, err)
		}
	}
}
