package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddress(t *testing.T) {
	const link = "http://vault-abc.localhost:4711/#enrol=xyz"
	for said, want := range map[string]string{
		"": "", "thumbturn: a warning\n": "", "open this page:\n  " + link: "", // the line is not whole
		"a warning\nopen this page:\n  " + link + "\n": link, link + "\nhint: more\n": link,
	} {
		if got := address(said); got != want {
			t.Errorf("%q: %q", said, got)
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
	script := "#!/bin/sh\necho out; echo said \"$1\" >&2; exit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "thumbturn"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
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
