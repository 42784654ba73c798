package browser

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a shell script that can be executed.
func program(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestChromium(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if got := Find(); got != "" {
		t.Errorf("found %s where there is none", got)
	}
	program(t, dir, "google-chrome-stable", "")
	if got, want := Find(), filepath.Join(dir, "google-chrome-stable"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A program that is no browser is odd, and no reason to fail.
func TestOdd(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "silent", "exit 0")
	program(t, dir, "angry", "echo no sandbox >&2; exit 1")
	for _, name := range []string{"silent", "angry", "absent"} {
		b, err := Start(t.Context(), filepath.Join(dir, name), filepath.Join(dir, name+".files"), []string{"PATH=" + os.Getenv("PATH")})
		if _, isOdd := errors.AsType[*Odd](err); b != nil || !isOdd || !strings.Contains(err.Error(), "does not start") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// deaf is a page that, like ours, does not hear the first clicks of a button that
// gives something, nor those that a script makes.
const deaf = `<body class="arming"><button class="gives">Give</button><p id="heard"></p><script>
	let clicks = 0;
	document.querySelector("button").addEventListener("click", (e) => {
		if (e.isTrusted && ++clicks === 3) document.querySelector("#heard").textContent = "yes";
	});
	setTimeout(() => { document.body.className = ""; }, 300);
</script>`

func TestPress(t *testing.T) {
	path := Find()
	if path == "" {
		t.Skip("SKIP: no Chromium; see .ci/setup. How the demo drives a browser is not tested.")
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(deaf))
	}))
	defer srv.Close()
	dir := t.TempDir()
	b, err := Start(t.Context(), path, dir, []string{"PATH=" + os.Getenv("PATH")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		b.Close()
		if err := os.RemoveAll(dir); err != nil { // by a process that is left
			t.Error(err)
		}
	}()
	if err := b.Open(srv.URL); err != nil {
		t.Fatal(err)
	}
	const heard = `document.querySelector("#heard").textContent === "yes"`
	for range 5 {
		if _, err := Eval[bool](b, `document.querySelector("button").click(), true`); err != nil {
			t.Fatal(err)
		}
	}
	if yes, err := Eval[bool](b, heard); yes || err != nil {
		t.Errorf("a script's clicks: %v %v", yes, err)
	}
	if err := b.Press("Give", heard); err != nil {
		t.Error(err)
	}
	var fault *Odd
	if err := b.hit("Take"); !errors.As(err, &fault) {
		t.Errorf("a button that is not there: %v", err)
	}
}
