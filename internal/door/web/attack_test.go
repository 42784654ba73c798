package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// unanswered fails unless a request still waits, and nothing was answered.
func (f *fake) unanswered() {
	f.t.Helper()
	if waits, answered, _, _ := f.waiting(); waits == 0 || answered != 0 {
		f.t.Errorf("%d wait, %d answered", waits, answered)
	}
}

// A passkey that does not recognise the person signs nothing.
func testNoVerification(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	f.park(f.request(nil), 0, "")
	if _, err := chromedp.Call(b.Ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.ID}); err != nil {
		t.Fatal(err)
	}
	b.Click("Approve once")
	b.Sees("The passkey did not confirm")
	f.unanswered()
	if _, _, begun, refused := f.waiting(); begun != 1 || refused != 0 {
		t.Errorf("%d begun, %d signatures came", begun, refused)
	}
}

// What an authenticator forges, the backend sees; the page passes it on and says so.
func testForged(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	f.park(f.request(nil), 0, "")
	yes := true
	for i, bits := range []webauthn.SetResponseOverrideBitsParams{{AuthenticatorID: b.ID, IsBogusSignature: &yes}, {AuthenticatorID: b.ID, IsBadUV: &yes}} {
		if _, err := chromedp.Call(b.Ctx, webauthn.SetResponseOverrideBits, bits); err != nil {
			t.Fatal(err)
		}
		b.Click("Approve once")
		b.Sees([]string{"bad signature", "not verified"}[i])
		f.unanswered()
		if _, _, _, refused := f.waiting(); refused != i+1 {
			t.Errorf("%d refused", refused)
		}
	}
}

// A click that a script makes is not a person's.
func testScriptClicks(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	f.park(f.request(nil), time.Hour, "")
	b.Sees("Give a secret")
	b.Until(`!document.body.classList.contains("arming")`)
	webtest.Eval[chromedp.Void](b, `document.querySelectorAll("button").forEach((e) => {
		e.click();
		for (const kind of ["pointerdown", "mousedown", "mouseup", "click"]) e.dispatchEvent(new MouseEvent(kind, { bubbles: true, view: window }));
		e.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
	})`)
	f.unanswered()
	if _, _, begun, _ := f.waiting(); begun != 0 || len(f.refusals) != 0 {
		t.Errorf("%d begun, %v", begun, f.refusals)
	}
	b.Click("Approve once") // and a person's works
	b.Sees("Approved.")
}

// A click that comes before a person can have read does nothing: after what is
// shown changed, and after the window came to the front.
func testEarlyClicks(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	f.park(f.request(nil), 0, "")
	b.Sees("Give a secret")
	webtest.Eval[chromedp.Void](b, `(() => {
		const real = window.fetch;
		window.begun = 0; // by the time a click was handled
		window.fetch = (...a) => { if (a[0] === "/api/begin") begun++; return real(...a); };
		addEventListener("click", () => { window.early = document.body.classList.contains("arming"); }, true);
	})()`)
	for range 20 {
		b.Until(`!document.body.classList.contains("busy")`)
		webtest.Eval[chromedp.Void](b, `window.early = null; window.begun = 0; window.dispatchEvent(new Event("focus"))`)
		b.Hit("Approve once")
		if webtest.Eval[bool](b, `early === true`) {
			if n := webtest.Eval[int](b, `begun`); n != 0 {
				t.Error("an early click began a ceremony")
			}
			f.unanswered()
			return
		}
	}
	t.Skip("SKIP: this machine is too slow to click within half a second")
}

// An agent that gets hold of a link, with a browser and an authenticator of its
// own, can look, and cannot approve.
func testAgent(t *testing.T, chrome context.Context) {
	f, s, _ := enrolled(t, chrome)
	f.park(f.request(nil), 0, "")
	agent := webtest.NewTab(t, chrome)
	agent.Authenticator(nil)
	agent.Open(link(t, s, web.LinkOpen, ""))
	agent.Sees("Give a secret")
	webtest.Eval[chromedp.Void](agent, `navigator.credentials.create({ publicKey: { challenge: new Uint8Array(32), rp: { id: "`+host+`", name: "x" }, authenticatorSelection: { residentKey: "required" },
		user: { id: new Uint8Array(16), name: "x", displayName: "x" }, pubKeyCredParams: [{ type: "public-key", alg: -7 }] } }).then(() => undefined)`)
	agent.Click("Approve once")
	agent.Sees("The passkey did not confirm")
	f.unanswered()
	// Nor can it enrol with such a link.
	w := agent.Post(f.origin, "register", `{}`)
	if w != "404" {
		t.Errorf("register: %s", w)
	}
}

// elsewhere serves a page on another port, under the same name as ours.
func elsewhere(t *testing.T, html string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, html)
	}))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + host + ":" + port
}

// Another page cannot show ours in a frame, nor run its scripts.
func testFrame(t *testing.T, chrome context.Context) {
	_, s := serve(t)
	u := link(t, s, web.LinkOpen, "")
	evil := elsewhere(t, `<iframe src="`+u+`" allow="publickey-credentials-get"></iframe><script src="`+s.Origin+`/canon.js" onload="window.ran=1" onerror="window.ran=0"></script>`)
	b := webtest.NewTab(t, chrome)
	b.Open(evil)
	b.Until(`window.ran === 0 || window.ran === 1`)
	if webtest.Eval[int](b, `window.ran`) != 0 {
		t.Error("a script of ours ran elsewhere")
	}
	tree, err := chromedp.Call(b.Ctx, page.GetFrameTree, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	frames := tree.FrameTree.ChildFrames
	if len(frames) != 1 || strings.HasPrefix(frames[0].Frame.URL, s.Origin) {
		t.Errorf("the frame shows %+v", frames)
	}
	own := webtest.NewTab(t, chrome) // the ticket in the frame's address was not used up
	own.Open(u)
	own.Sees("Nothing waits.")
}

// A page on another port of our name gets the passkey to sign, since the RP ID
// knows no port: it may not ask our server, and what it got is refused.
func testOtherPort(t *testing.T, chrome context.Context) {
	f, s, b := enrolled(t, chrome)
	q := f.park(f.request(nil), 0, "")
	evil := elsewhere(t, `<title>evil</title>`)
	b.Open(evil)
	if got := b.Post(s.Origin, "open", `{"ticket":"`+ticket(t, s, web.LinkOpen, "")+`"}`); got != "TypeError" {
		t.Errorf("another port asks: %s", got)
	}
	if got := webtest.Eval[string](b, `fetch("`+s.Origin+`/api/open", { method: "POST", mode: "no-cors", body: "{}" }).then((r) => r.type, (e) => e.name)`); got != "opaque" && got != "TypeError" {
		t.Errorf("without CORS: %s", got)
	}
	// A program that stole a token begins a ceremony, and lets that page sign it.
	post := func(path, token string, in, out any) int {
		r, err := http.NewRequest("POST", "http://"+strings.Replace(strings.TrimPrefix(s.Origin, "http://"), host, "127.0.0.1", 1)+path, bytes.NewReader(encode(t, in)))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = strings.TrimPrefix(s.Origin, "http://")
		for k, v := range map[string]string{"Origin": s.Origin, "Content-Type": "application/json", "Thumbturn-Token": token} {
			r.Header.Set(k, v)
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		if w.StatusCode == http.StatusOK {
			err = json.NewDecoder(w.Body).Decode(out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return w.StatusCode
	}
	var in struct{ Token string }
	post("/api/open", "", map[string]string{"ticket": ticket(t, s, web.LinkOpen, "")}, &in)
	var c web.Ceremony
	post("/api/begin", in.Token, web.Want{Kind: web.WantAnswer, Requests: []string{q.ID}}, &c)
	signed := run[web.Assertion](t, b, `async (c) => {
		const un = (s) => Uint8Array.from(atob(s), (x) => x.charCodeAt(0)), to = (b) => btoa(String.fromCharCode(...new Uint8Array(b)));
		const got = await navigator.credentials.get({ publicKey: { challenge: Uint8Array.from(c.challenge.match(/../g), (x) => parseInt(x, 16)), rpId: c.rp_id,
			userVerification: "required", allowCredentials: c.credentials.map((id) => ({ type: "public-key", id: un(id) })) } });
		return { batch: 0, credential: to(got.rawId), authenticator_data: to(got.response.authenticatorData),
			client_data: to(got.response.clientDataJSON), signature: to(got.response.signature) };
	}`, c)
	if code := post("/api/finish", in.Token, map[string]any{"ceremony": c.ID, "assertions": []web.Assertion{signed}}, nil); code != http.StatusForbidden {
		t.Errorf("finish: %d", code)
	}
	f.unanswered()
	if want := fmt.Sprintf(`"origin":%q`, evil); len(f.faults) != 1 || !strings.Contains(f.faults[0].Error(), want) {
		t.Errorf("refused for another reason: %v", f.faults)
	}
}

// The page does not let the passkey sign anything but what it shows.
func testLies(t *testing.T, chrome context.Context) {
	f, s, b := enrolled(t, chrome)
	q := f.park(f.request(lease), 30*time.Minute, "")
	other := canon.Answer{V: 1, Audience: f.device, Requests: []canon.Hash{random()}}
	for _, c := range []struct {
		what, says string
		twist      func(*web.Ceremony)
	}{
		{"another answer", "the answer is not to what this page shows", func(c *web.Ceremony) { c.Raw = canon.Encode(other); c.Challenge = canon.AnswerDigest(c.Raw) }},
		{"another challenge", "the challenge is not of the answer", func(c *web.Ceremony) { c.Challenge = random() }},
		{"a lease as well", "the answer is not to what this page shows", func(c *web.Ceremony) {
			a := canon.Answer{V: 1, Audience: f.device, Requests: []canon.Hash{canon.RequestDigest(q.Raw)}, Lease: &canon.Terms{Until: time.Now().Add(time.Hour).UnixMilli(), Uses: 9}}
			c.Raw = canon.Encode(a)
			c.Challenge = canon.AnswerDigest(c.Raw)
		}},
	} {
		f.mu.Lock()
		f.twist = c.twist
		f.mu.Unlock()
		b.Click("Approve once")
		b.Sees(c.says)
	}
	f.unanswered()
	if _, _, _, refused := f.waiting(); refused != 0 {
		t.Error("something was signed")
	}
	r := f.request(nil)
	r.Caller.Root = "6.6.b7"
	f.park(r, 0, "")
	f.change(func(s *web.State) { s.Requests[1].Code = "0000-0000" })
	b.Open(link(t, s, web.LinkOpen, ""))
	b.Sees("Do not approve this.")
	b.Sees("not 0000-0000")
	if n := webtest.Eval[int](b, `[...document.querySelectorAll("#cards > article")].filter((a) => a.innerText.includes("Do not approve") && a.innerText.includes("Approve once")).length`); n != 0 {
		t.Error("a request with another code can be approved")
	}
}
