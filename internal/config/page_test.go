package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/thumbturn/thumbturn/internal/fault"
)

const origin26 = "http://vault-0123456789abcdefghjkmnpqrs.localhost:"

func TestPagePort(t *testing.T) {
	for text, want := range map[string]string{
		origin26 + "20001": "20001", origin26 + "1000": "1000", origin26 + "99999": "99999",
		"": "", origin26: "", origin26 + "999": "", origin26 + "020001": "", origin26 + "0": "", origin26 + "200011": "", origin26 + "20001/": "", origin26 + "20001\n": "",
		" " + origin26 + "20001": "", "https://vault-0123456789abcdefghjkmnpqrs.localhost:20001": "", "http://localhost:20001": "", "http://127.0.0.1:20001": "",
		"http://vault-0123456789abcdefghjkmnpqr.localhost:20001": "", "http://vault-0123456789abcdefghjkmnpqrst.localhost:20001": "",
		"http://vault-0123456789ABCDEFGHJKMNPQRS.localhost:20001": "", "http://vault-0123456789abcdefghjkmnpqrs.localhost.evil.test:20001": "",
		"http://evil@vault-0123456789abcdefghjkmnpqrs.localhost:20001": "", "http://vault-0123456789abcdefghjkmnpqrsxlocalhost:20001": "",
		origin26 + "20001\n" + origin26 + "20002": "", "x" + origin26 + "20001": "",
	} {
		if got := PagePort(text); got != want {
			t.Errorf("%q: port %q, want %q", text, got, want)
		}
	}
}

func TestReadPage(t *testing.T) {
	dir := t.TempDir()
	if text, err := ReadPage(dir); text != "" || err != nil {
		t.Errorf("no file: %q, %v", text, err)
	}
	if err := WritePage(dir, origin26+"20001"); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadPage(dir); text != origin26+"20001" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	path := filepath.Join(dir, PageName)
	if s, err := os.Stat(path); err != nil || s.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", s.Mode(), err)
	}
	if err := WritePage(dir, "http://localhost:20001"); !fault.Is(err, fault.Internal) {
		t.Errorf("somebody else's origin: %v", err)
	}
	if text, err := ReadPage(dir); text != origin26+"20001" || err != nil {
		t.Errorf("a refused one left %q, %v", text, err)
	}
	for _, text := range []string{"", "\n", "x", "http://localhost:20001", origin26 + "80", origin26 + "20001\n" + origin26 + "20002", "\x00" + origin26 + "20001", origin26 + "20001 #"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPage(dir); got != "" || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if err := os.WriteFile(path, []byte("  "+origin26+"20001\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPage(dir); got != origin26+"20001" || err != nil {
		t.Errorf("with spaces around it: %q, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPage(dir); !fault.Is(err, fault.Usage) {
		t.Errorf("a folder: %v", err)
	}
	if err := WritePage(dir, origin26+"20001"); err == nil {
		t.Error("written over a folder")
	}
}
