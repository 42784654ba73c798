//go:build linux

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// started is a command that goes on while the test does something else, and the
// file with what it has said so far.
type started struct {
	t    *testing.T
	said string
	done chan result
}

// start runs a command of the person's shell, or with an agent one of a session of
// its own.
func (h *home) start(agent bool, args ...string) started {
	h.t.Helper()
	return h.started(command{Setsid: agent}, append([]string{program("thumbturn")}, args...)...)
}

// started is start of any command.
func (h *home) started(c command, argv ...string) started {
	h.t.Helper()
	f, err := os.CreateTemp(filepath.Dir(h.dir), "said")
	if err != nil {
		h.t.Fatal(err)
	}
	_ = f.Close()
	s := started{h.t, f.Name(), make(chan result, 1)}
	c.Argv = append([]string{"/bin/sh", "-c", `said=$1; shift; exec "$@" 2>"$said"`, "sh", s.said}, argv...)
	go func() { s.done <- h.do(c) }()
	return s
}

// says waits until it has said something, and returns all of it.
func (s started) says(what string) string {
	s.t.Helper()
	for range 500 {
		if b, _ := os.ReadFile(s.said); strings.Contains(string(b), what) && strings.HasSuffix(string(b), "\n") {
			return string(b)
		}
		time.Sleep(20 * time.Millisecond)
	}
	b, _ := os.ReadFile(s.said)
	s.t.Fatalf("never said %q, but:\n%s", what, b)
	return ""
}

// link is the address of the page that it tells.
func (s started) link(kind string) string {
	s.t.Helper()
	said := s.says("/#" + kind + "=")
	return strings.TrimSpace(said[strings.LastIndex(said, "http://vault-"):])
}

// end waits for its end.
func (s started) end() result {
	s.t.Helper()
	select {
	case r := <-s.done:
		b, _ := os.ReadFile(s.said)
		r.Err += string(b)
		return r
	case <-time.After(60 * time.Second):
		b, _ := os.ReadFile(s.said)
		s.t.Fatalf("a command does not end; it said:\n%s", b)
		return result{}
	}
}

// enrolled ends an enrolment that was begun, on a tab.
func (s started) enrolled(tab *webtest.Tab) api.Passkey {
	s.t.Helper()
	tab.Open(s.link("enrol"))
	tab.Click("Create the passkey")
	tab.Click("Use the passkey")
	for _, again := range []string{"Continue: passkey, 2 of 3", "Continue: passkey, 3 of 3"} {
		tab.Until(webtest.Button(again))
		tab.Hit(again)
	}
	r := s.end()
	var p api.Passkey
	if r.Code != 0 || json.Unmarshal([]byte(r.Out), &p) != nil {
		s.t.Fatalf("passkey add: %v", r)
	}
	return p
}

// sumOf is how a program shows that it got a value, without having it in its arguments:
// those are in the request, and so in the daemon's memory.
func sumOf(value string) string {
	h := sha256.Sum256([]byte(value))
	return hex.EncodeToString(h[:])
}

// page opens the approval page on a tab.
func (h *home) page(tab *webtest.Tab) {
	h.t.Helper()
	a := h.start(false, "approve")
	tab.Open(a.link("t"))
	if r := a.end(); r.Code != 0 {
		h.t.Fatalf("approve: %v", r)
	}
}

func TestPasskey(t *testing.T) {
	const canary = "sk_canary_passkey_5821"
	t.Parallel()
	chrome := webtest.Browser(t)
	h := founded(t)
	h.set("op://prod/Stripe/credential", canary)
	tab := webtest.NewTab(t, chrome)
	tab.Authenticator(nil)

	p := h.start(false, "passkey", "add", "--format", "json", "--name", "laptop", "--presence-passphrase-file", h.file("presence"), "--code-file", h.file("recovery")).enrolled(tab)
	if !p.Decrypts || !p.PassphraseEnded {
		t.Fatalf("%+v", p)
	}
	if out := h.ok("passkey", "list"); !strings.Contains(out, "opens: session, account, prod") {
		t.Errorf("%s", out)
	}

	// An agent's tool gets the value once the passkey was touched.
	h.page(tab)
	run := h.start(true, "run", "--env-file", h.write("env", "KEY=op://prod/Stripe/credential\n"), "--", "/bin/sh", "-c", `printf %s "$KEY" | sha256sum`)
	run.says("waiting for approval")
	tab.Click("Approve once")
	if r := run.end(); r.Code != 0 || !strings.Contains(r.Out, sumOf(canary)) {
		t.Fatalf("%v", r)
	}
	// The passphrase is no way any more.
	r := h.person("read", "--no-wait", "op://prod/Stripe/credential")
	id := strings.TrimSpace(r.Out)
	if r := h.person("approve", id, "--passphrase-file", h.file("presence")); r.Code == 0 || !strings.Contains(r.Err, "passkeys approve") {
		t.Errorf("%v", r)
	}
	tab.Click("Approve once")
	tab.Sees("Approved.")
	if out := h.ok("read", "--request", id, "op://prod/Stripe/credential"); strings.TrimSpace(out) != canary {
		t.Errorf("read %q", out)
	}

	// Acts on the account take the passkey too: a new vault, its value, a new recovery code.
	create := h.start(false, "vault", "create", "team", "--tier", "presence")
	create.says("waiting for approval")
	tab.Click("Approve once")
	if r := create.end(); r.Code != 0 {
		t.Fatalf("%v", r)
	}
	h.set("op://team/Other/credential", canary+"2")
	read := h.start(false, "read", "op://team/Other/credential")
	read.says("waiting for approval")
	tab.Click("Approve once")
	if r := read.end(); r.Code != 0 || strings.TrimSpace(r.Out) != canary+"2" {
		t.Fatalf("%v", r)
	}

	// It unlocks.
	h.ok("lock")
	unlock := h.start(false, "unlock", "--passkey")
	tab.Open(unlock.link("unlock"))
	tab.Click("Unlock with a passkey")
	if r := unlock.end(); r.Code != 0 || h.status().State != "unlocked" {
		t.Fatalf("%v", r)
	}
	h.page(tab)

	// A second one, which only signs, by leave of the first; alone it opens nothing.
	add := h.start(false, "passkey", "add", "--format", "json", "--name", "key")
	add.says("waiting for approval")
	tab.Click("Approve once")
	other := webtest.NewTab(t, chrome)
	other.Authenticator(func(o *webauthn.VirtualAuthenticatorOptions) { o.HasPrf = false })
	if p := add.enrolled(other); p.Decrypts || p.PassphraseEnded {
		t.Fatalf("%+v", p)
	}
	// The last that decrypts cannot go, the other can.
	if r := h.person("passkey", "remove", "laptop", "--yes"); r.Code == 0 || !strings.Contains(r.Err, "last way") {
		t.Errorf("%v", r)
	}
	remove := h.start(false, "passkey", "remove", "key", "--yes")
	remove.says("waiting for approval")
	tab.Click("Approve once")
	if r := remove.end(); r.Code != 0 {
		t.Fatalf("%v", r)
	}
	// What was written before is read after the keys of its vault moved.
	read = h.start(false, "read", "op://prod/Stripe/credential")
	read.says("waiting for approval")
	tab.Click("Approve once")
	if r := read.end(); r.Code != 0 || strings.TrimSpace(r.Out) != canary {
		t.Fatalf("%v", r)
	}
	verify := h.ok("audit", "verify", "--approvals", "--format", "json")
	t.Log(verify)
	h.searchFiles(canary)
	h.searchMemory(canary)
}
