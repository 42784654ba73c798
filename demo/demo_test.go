package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A demonstration that overlooks the key would show nothing.
func TestSeen(t *testing.T) {
	for range 50 {
		key := newKey()
		for name, text := range map[string]string{
			"plain": "Bearer " + key + "\n", "reversed": reversed(key), "query": url.QueryEscape("k=" + key),
			"hex": hex.EncodeToString([]byte("k=" + key + "\n")), "HEX": strings.ToUpper(hex.EncodeToString([]byte(key))),
			"base64": base64.StdEncoding.EncodeToString([]byte(key)), "base64 after one": base64.StdEncoding.EncodeToString([]byte("a" + key + "\n")),
			"base64 after two": base64.URLEncoding.EncodeToString([]byte("ab" + key + " tail")),
		} {
			if seen(text, key) == 0 {
				t.Errorf("%s: %q is not seen in %q", name, key, text)
			}
			if left := seen(hidden(text, key), key); left != 0 {
				t.Errorf("%s: %d left in %q", name, left, hidden(text, key))
			}
		}
		for _, text := range []string{"", mask, "op://dev/Billing/credential", newKey(), "demo+"} {
			if seen(text, key) != 0 {
				t.Errorf("%q is seen in %q", key, text)
			}
		}
	}
}

func TestSection(t *testing.T) {
	const transcript = "\n$ one a\nout 1\n\n$ two\nout 2\n[exit status 3]\n"
	for step, want := range map[string]string{"one": " a\nout 1\n", "two": "\nout 2\n[exit status 3]\n", "three": ""} {
		if diff := cmp.Diff(want, section(transcript, step)); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
}

func TestSwap(t *testing.T) {
	got := swap([]byte("..11..22..11"), []byte("11"), []byte("22"))
	if !bytes.Equal(got, []byte("..22..11..22")) {
		t.Errorf("%s", got)
	}
}

func TestVerdict(t *testing.T) {
	var out strings.Builder
	s := &story{out: &out}
	s.prove(true, "a", "hidden where it holds")
	if err := s.verdict(); err != nil || strings.Contains(out.String(), "hidden") {
		t.Errorf("%v\n%s", err, out.String())
	}
	s.prove(false, "b", "evidence\nof it")
	if err := s.verdict(); err == nil || !strings.Contains(out.String(), "✘ b") || !strings.Contains(out.String(), "evidence") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// What a command says while it runs can be read before it ends, and its end is told.
func TestObey(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "thumbturn", `echo out; echo said "$1" >&2; exit 3`)
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	said := filepath.Join(dir, "said")
	for o, want := range map[string]answered{"": {"out\n", "said a\n", 3}, said: {"out\n", "", 3}} {
		if diff := cmp.Diff(want, obey(order{Args: []string{"a"}, Dir: dir, Said: o})); diff != "" {
			t.Errorf("%q: %s", o, diff)
		}
	}
	if b, err := os.ReadFile(said); string(b) != "said a\n" {
		t.Errorf("%q %v", b, err)
	}
	if a := obey(order{Dir: dir, Said: filepath.Join(dir, "no", "said")}); a.Code != -1 || a.Err == "" {
		t.Errorf("%+v", a)
	}
}
