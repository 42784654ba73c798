//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// stolen is what a page that is not ours got of a passkey.
type stolen struct {
	web.Assertion
	PRF []byte `json:"prf"` // the output for the first salt
}

// steal lets the page that a tab shows use the passkey of that tab, under our name.
func steal(tab *webtest.Tab, c web.Ceremony) stolen {
	in, _ := json.Marshal(c) // of plain members
	return webtest.Eval[stolen](tab, `(async (c) => {
		const un = (s) => Uint8Array.from(atob(s), (x) => x.charCodeAt(0)), to = (b) => btoa(String.fromCharCode(...new Uint8Array(b)));
		const got = await navigator.credentials.get({ publicKey: { challenge: Uint8Array.from(c.challenge.match(/../g), (x) => parseInt(x, 16)), rpId: c.rp_id,
			userVerification: "required", allowCredentials: c.credentials.map((id) => ({ type: "public-key", id: un(id) })),
			extensions: { prf: { eval: { first: un(c.salts[0][0]) } } } } });
		return { batch: 0, credential: to(got.rawId), authenticator_data: to(got.response.authenticatorData), sealed: "",
			client_data: to(got.response.clientDataJSON), signature: to(got.response.signature), prf: to(got.getClientExtensionResults().prf.results.first) };
	})(`+string(in)+`)`)
}

// token is what the page on a tab was let in with.
func token(tab *webtest.Tab) string {
	return webtest.Eval[string](tab, `JSON.parse(sessionStorage.getItem("pass")).token`)
}

// post is a program that asks the page's server, past the browser.
func post(t *testing.T, origin, token, call string, in, out any) int {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("POST", "http://127.0.0.1:"+config.PagePort(origin)+"/api/"+call, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = strings.TrimPrefix(origin, "http://")
	for k, v := range map[string]string{"Origin": origin, "Content-Type": "application/json", "Thumbturn-Token": token} {
		r.Header.Set(k, v)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if out != nil && w.StatusCode == http.StatusOK {
		if err := json.NewDecoder(w.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
	return w.StatusCode
}

// begin asks for the ceremony that answers a request.
func begin(t *testing.T, origin, token, id string) (c web.Ceremony) {
	t.Helper()
	if code := post(t, origin, token, "begin", web.Want{Kind: web.WantAnswer, Requests: []string{id}}, &c); code != http.StatusOK {
		t.Fatalf("begin: %d", code)
	}
	return c
}

func unbase(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// squat serves a page of a program of the user.
func squat(t *testing.T, address string) (port string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<title>Thumbturn</title><main>Waiting for you</main>")
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	stop = func() { _ = s.Close(); <-done }
	t.Cleanup(stop)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, stop
}

// An agent may get hold of a link, of a token, of a page of its own on any port, and
// of a browser with an authenticator: it can look and say no. Nor does a passkey
// approve that does not know who touches it.
func pageAgent(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	run, id := h.ask()
	pending := func(what string) {
		t.Helper()
		if s := h.stateOf(id); s != "pending" {
			t.Errorf("%s: %s", what, s)
		}
		h.unreleased(id)
	}
	// A page on another port gets a signature and an output of the passkey for a
	// challenge that a program got with a stolen token.
	real, key := h.origin(), token(tab)
	c := begin(t, real, key, id)
	port, _ := squat(t, "127.0.0.1:0")
	tab.Open(strings.TrimSuffix(real, config.PagePort(real)) + port)
	got := steal(tab, c)
	if len(got.PRF) != 32 || !bytes.Contains(got.ClientData, []byte(":"+port)) {
		t.Errorf("another port got %d bytes: %s", len(got.PRF), got.ClientData)
	}
	if got := tab.Post(real, "begin", `{}`); got != "TypeError" {
		t.Errorf("another port asks: %s", got)
	}
	if code := post(t, real, key, "finish", map[string]any{"ceremony": c.ID, "assertions": []web.Assertion{got.Assertion}}, nil); code != http.StatusForbidden {
		t.Errorf("finish: %d", code)
	}
	pending("another port")

	// A browser and an authenticator of the agent's own.
	theirs := webtest.NewTab(t, webtest.Browser(t))
	theirs.Authenticator(nil)
	a := h.start(false, "approve")
	link := a.link("t")
	a.end()
	theirs.Open(link)
	theirs.Sees("Give a secret to a program")
	c = begin(t, real, token(theirs), id)
	webtest.Eval[chromedp.Void](theirs, `navigator.credentials.create({ publicKey: { challenge: new Uint8Array(32), rp: { id: location.hostname, name: "x" }, authenticatorSelection: { residentKey: "required" },
		user: { id: new Uint8Array(16), name: "x", displayName: "x" }, pubKeyCredParams: [{ type: "public-key", alg: -7 }], extensions: { prf: {} } } }).then((c) => { window.own = btoa(String.fromCharCode(...new Uint8Array(c.rawId))); })`)
	theirs.Click("Approve once")
	theirs.Sees("The passkey did not confirm")
	ours := c.Credentials
	c.Credentials = [][]byte{unbase(t, webtest.Eval[string](theirs, `own`))}
	for _, name := range [][]byte{c.Credentials[0], ours[0]} {
		got = steal(theirs, c)
		got.Credential = name
		if code := post(t, real, token(theirs), "finish", map[string]any{"ceremony": c.ID, "assertions": []web.Assertion{got.Assertion}}, nil); code == http.StatusOK {
			t.Error("a passkey of the agent approves")
		}
		c.ID = begin(t, real, token(theirs), id).ID // signed over another challenge, too
	}
	if code := post(t, real, token(theirs), "register", struct{}{}, nil); code != http.StatusNotFound {
		t.Errorf("register: %d", code)
	}
	pending("their own")

	// Your own passkey, that does not recognise who touches it.
	h.page(tab)
	yes := true
	for _, c := range []struct {
		says string
		set  func() error
	}{
		{"what the passkey answered is not valid here", func() error {
			_, err := chromedp.Call(tab.Ctx, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: tab.ID, IsBadUV: &yes})
			return err
		}},
		{"The passkey did not confirm", func() error {
			_, err := chromedp.Call(tab.Ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: tab.ID})
			return err
		}},
	} {
		if err := c.set(); err != nil {
			t.Fatal(err)
		}
		tab.Click("Approve once")
		tab.Sees(c.says)
		pending(c.says)
	}
	theirs.Click("Deny")
	run.refused(h, id)
	h.searchFiles(pageValue)
}

// The daemon is killed after a person said yes, and a program takes the page's port.
// The next daemon has no page, and says so. What the program's page gets of the
// passkey opens nothing, then and later.
func pageSquatter(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, false, nil)
	id := strings.TrimSpace(h.person("read", "--no-wait", pageRef).Out)
	real := h.origin()
	tab.Sees("Show a secret")
	c := begin(t, real, token(tab), id)
	tab.Click("Approve once")
	tab.Sees("Approved.")
	if s := h.stateOf(id); s != "approved" {
		t.Fatal(s)
	}
	var got stolen
	for _, address := range []string{"127.0.0.1", "::1"} {
		h.kill()
		_, stop := squat(t, net.JoinHostPort(address, config.PagePort(real)))
		if r := h.person("read", "--request", id, pageRef); r.Code == 0 || strings.Contains(r.String(), pageValue) {
			t.Errorf("after a crash: %v", r)
		}
		wantSaid(t, h.person("status"), "THERE IS NO APPROVAL PAGE", config.PagePort(real))
		h.unlock()
		wantSaid(t, h.person("status"), "THERE IS NO APPROVAL PAGE")
		r := h.person("doctor")
		wantCode(t, r, 1)
		wantSaid(t, r, "there is no approval page")
		next := strings.TrimSpace(h.person("read", "--no-wait", pageRef).Out)
		for _, args := range [][]string{{"approve"}, {"approve", next}, {"approve", next, "--passphrase-file", h.file("presence")}} {
			if r := h.person(args...); r.Code == 0 || strings.Contains(r.String(), "#t=") {
				t.Errorf("%s: %v: %v", address, args, r)
			}
		}
		h.unreleased(next)
		tab.Open(real)
		tab.Sees("Waiting for you")
		if got = steal(tab, c); len(got.PRF) != 32 || !bytes.Contains(got.ClientData, []byte(`"origin":"`+real+`"`)) {
			t.Errorf("%d bytes, %s", len(got.PRF), got.ClientData)
		}
		stop()
	}
	// The page is back at its place, without a restart. What was stolen is sealed as
	// the page would seal it, under the new challenge.
	id = strings.TrimSpace(h.person("read", "--no-wait", pageRef).Out)
	tab.Open("about:blank")
	h.page(tab)
	tab.Sees("Show")
	c = begin(t, real, token(tab), id)
	in, err := json.Marshal(map[string]any{"key": c.Key, "info": web.PRFInfo(c.Challenge, 0), "prf": got.PRF})
	if err != nil {
		t.Fatal(err)
	}
	got.Sealed = unbase(t, webtest.Eval[string](tab, `(async (x) => Canon.base64(await Hpke.seal(Canon.bytes(x.key), Canon.bytes(x.info), Canon.bytes(x.prf))))(`+string(in)+`)`))
	if code := post(t, real, token(tab), "finish", map[string]any{"ceremony": c.ID, "assertions": []web.Assertion{got.Assertion}}, nil); code != http.StatusForbidden {
		t.Errorf("finish: %d", code)
	}
	if s := h.stateOf(id); s != "pending" {
		t.Errorf("a stolen answer: %s", s)
	}
	h.unreleased(id)
	tab.Click("Approve all 2 once") // what was asked while there was no page waits as well
	tab.Sees("Approved.")
	if out := h.ok("read", "--request", id, pageRef); strings.TrimSpace(out) != pageValue {
		t.Errorf("%q", out)
	}
}

// A program of the user changes the file that says where the page is: nobody is
// sent to another place, and the file is mended.
func pageOrigin(t *testing.T, chrome context.Context) {
	h, tab := passkeyed(t, chrome, true, nil)
	real := h.origin()
	port, _ := squat(t, "127.0.0.1:0")
	another := strings.TrimSuffix(real, config.PagePort(real)) + "19999"
	for _, c := range []struct {
		what, file string
		refused    bool
	}{
		{"another port", another, true},
		{"another name", strings.Replace(real, "vault-", "vault-0", 1)[:len("http://vault-")+26] + real[len("http://vault-")+26:], true},
		{"a port that is taken", strings.TrimSuffix(real, config.PagePort(real)) + port, false},
		{"another page", "http://evil.example:80", false},
		{"nothing", "", false},
		{"gone", "-", false},
	} {
		h.ok("daemon", "stop")
		var err error
		if c.file == "-" {
			err = os.Remove(h.pageFile())
		} else {
			err = os.WriteFile(h.pageFile(), []byte(c.file+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		h.unlock()
		if c.refused {
			for _, args := range [][]string{{"approve"}, {"passkey", "add", "--name", "x", "--presence-passphrase-file", h.file("presence")}} {
				r := h.person(args...)
				if r.Code == 0 || strings.Contains(r.String(), "/#") {
					t.Errorf("%s: %v: %v", c.what, args, r)
				}
				wantSaid(t, r, "the approval page is not where the account says it is", "thumbturn daemon stop")
			}
			h.ok("daemon", "stop")
			h.unlock()
		}
		h.page(tab)
		tab.Sees("Nothing waits.")
		if got := webtest.Eval[string](tab, `location.origin`); got != real || h.origin() != real {
			t.Errorf("%s: the page is at %s, the file says %s", c.what, got, h.origin())
		}
	}
}
