package web_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// enrolled is a server with one passkey, and the tab that has it.
func enrolled(t *testing.T, chrome context.Context) (*fake, *web.Server, *webtest.Tab) {
	t.Helper()
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Authenticator(nil)
	enrol(t, b, s)
	return f, s, b
}

func testApprove(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Quiet()
	b.Authenticator(nil)
	enrol(t, b, s)
	b.Sees("It signs and decrypts")
	q := f.park(f.request(nil), 0, "the vault is guarded")
	b.Sees(q.Code)
	b.Until(`document.getElementById("say").textContent.includes("New request: agent, looks like claude, Give a secret to a program: op://prod/stripe/secret-key, code ` + q.Code + `")`)
	if u := webtest.Eval[string](b, "location.href"); u != f.origin+"/" {
		t.Errorf("the address bar shows %q", u)
	}
	b.Click("Approve once")
	b.Sees("Approved. " + q.Code)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.passkeys {
		if len(k.made) != 64 || string(k.made) != string(k.used) {
			t.Errorf("PRF outputs: %x when made, %x when used", k.made, k.used)
		}
	}
	want := []canon.Answer{{V: 1, Audience: f.device, Requests: []canon.Hash{canon.RequestDigest(q.Raw)}}}
	if diff := cmp.Diff(want, f.answers); diff != "" {
		t.Errorf("signed (-want +got):\n%s", diff)
	}
}

func testSignOnly(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Authenticator(func(o *webauthn.VirtualAuthenticatorOptions) { o.HasPrf, o.DefaultBackupEligibility = false, true })
	enrol(t, b, s)
	b.Sees("It signs only")
	b.Sees("Its provider may copy it")
	f.park(f.request(nil), 0, "")
	b.Click("Approve once")
	b.Sees("Now type the presence passphrase at the terminal.")
}

// What the browser is asked for, to the letter; and no credential is serialized.
func testOptions(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Authenticator(nil)
	b.Open(link(t, s, web.LinkEnrol, "ticket"))
	b.Sees("What it can give")
	webtest.Eval[chromedp.Void](b, `(() => {
		window.asked = [];
		window.serialized = 0;
		const text = (v) => v instanceof Uint8Array ? Canon.hex(v) : Array.isArray(v) ? v.map(text) : v && typeof v === "object" ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, text(x)])) : v;
		for (const name of ["create", "get"]) {
			const real = navigator.credentials[name].bind(navigator.credentials);
			navigator.credentials[name] = (o) => { asked.push(text(o)); return real(o); };
		}
		PublicKeyCredential.prototype.toJSON = () => { serialized++; return {}; };
	})()`)
	b.Click("Create the passkey")
	b.Click("Use the passkey")
	b.Sees("is enrolled")
	f.mu.Lock()
	defer f.mu.Unlock()
	id := ""
	for k := range f.passkeys {
		id = hex.EncodeToString([]byte(k))
	}
	prf := map[string]any{"prf": map[string]any{"eval": map[string]any{"first": hex.EncodeToString(salts(1)[0][0]), "second": hex.EncodeToString(salts(1)[0][1])}}}
	alg := func(n float64) any { return map[string]any{"type": "public-key", "alg": n} }
	want := []any{
		map[string]any{"publicKey": map[string]any{
			"rp": map[string]any{"id": host, "name": "Thumbturn"}, "timeout": 120000.0,
			"user":             map[string]any{"id": hex.EncodeToString([]byte("0123456789abcdef")), "name": "ada", "displayName": "Ada's laptop"},
			"pubKeyCredParams": []any{alg(-7), alg(-8), alg(-257)}, "excludeCredentials": []any{},
			"authenticatorSelection": map[string]any{"residentKey": "preferred", "userVerification": "required"}, "attestation": "none", "extensions": prf}},
		map[string]any{"publicKey": map[string]any{
			"rpId": host, "userVerification": "required", "timeout": 120000.0, "extensions": prf,
			"allowCredentials": []any{map[string]any{"type": "public-key", "id": id}}}},
	}
	got := webtest.Eval[[]any](b, `asked.map((o) => { if (!/^[0-9a-f]{64}$/.test(o.publicKey.challenge)) return o; delete o.publicKey.challenge; return o; })`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := webtest.Eval[int](b, `serialized`); n != 0 {
		t.Errorf("%d credentials were serialized", n)
	}
}

// Four compartments are two uses of the passkey; the second waits for a click.
func testBatches(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	f.batches = 2
	f.park(f.request(nil), 0, "")
	b.Click("Approve once")
	b.Sees("One more use of the passkey is needed.")
	webtest.Eval[chromedp.Void](b, `[...document.querySelectorAll("button")].find((b) => b.textContent.startsWith("Continue")).click()`)
	if waits, _, _, _ := f.waiting(); waits != 1 {
		t.Error("a script's click went on")
	}
	b.Hit("Continue: passkey, 2 of 2")
	b.Sees("Approved.")
}

// Some providers give arrays of numbers, views, or nothing where something was promised.
func testOddOutputs(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	for _, c := range []struct{ change, want string }{
		{`(x) => Array.from(new Uint8Array(x))`, "Approved."},
		{`(x) => new Uint8Array([9, ...new Uint8Array(x)]).subarray(1)`, "Approved."},
		{`(x) => new ArrayBuffer(0)`, "Signed."},
		{`(x) => []`, "Signed."},
		{`(x) => undefined`, "Signed."},
		{`(x) => new Uint8Array(31)`, "Signed."},
		{`(x) => "0123456789abcdef0123456789abcdef"`, "Signed."},
	} {
		webtest.Eval[chromedp.Void](b, `(() => {
			window.real ||= PublicKeyCredential.prototype.getClientExtensionResults;
			PublicKeyCredential.prototype.getClientExtensionResults = function () {
				const r = real.call(this), change = `+c.change+`;
				return { prf: { results: { first: change(r.prf.results.first), second: change(r.prf.results.second) } } };
			};
		})()`)
		q := f.park(f.request(nil), 0, "")
		b.Sees(q.Code)
		b.Click("Approve once")
		b.Until(`document.getElementById("notice").innerText.includes("` + c.want + `") && document.getElementById("notice").innerText.includes("` + q.Code + `")`)
	}
	_, answered, _, refused := f.waiting()
	if answered != 7 || refused != 0 {
		t.Errorf("%d answered, %d refused", answered, refused)
	}
}

// What one session asks is one card, one button and one signature; another
// session's stays apart.
func testTogether(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	var want []string
	for range 3 {
		want = append(want, f.park(f.request(nil), time.Hour, "").ID)
	}
	other := f.park(f.request(func(r *canon.Request) { r.Caller.Root = "5.5.b7" }), time.Hour, "")
	// Nobody joins what somebody else asks, nor what a person may be reading.
	f.park(f.request(func(r *canon.Request) { r.Caller.Kind = "person" }), 0, "")
	f.park(f.request(func(r *canon.Request) { r.Caller.UID++ }), 0, "")
	f.park(f.request(func(r *canon.Request) { r.Issued -= 10_000 }), 0, "")
	b.Sees(other.Code)
	b.Until(`document.querySelectorAll("#cards .head").length === 7`)
	b.Sees("3 requests of one session, answered together")
	if n := webtest.Eval[int](b, `document.querySelectorAll("#cards > article").length`); n != 5 {
		t.Errorf("%d cards", n)
	}
	if n := webtest.Eval[int](b, `[...document.querySelectorAll("button")].filter((b) => b.textContent === "Allow for …").length`); n != 1 {
		t.Errorf("a lease is offered %d times", n)
	}
	b.Click("Approve all 3 once")
	b.Sees("Approved.")
	waits, answered, begun, _ := f.waiting()
	if waits != 4 || answered != 3 || begun != 1 || len(f.answers) != 1 || len(f.answers[0].Requests) != len(want) {
		t.Errorf("%d wait, %d answered by %d signatures", waits, answered, begun)
	}
	for range 9 { // more than one signature can cover
		f.park(f.request(nil), 0, "")
	}
	b.Sees("8 requests of one session, answered together")
	b.Until(`document.querySelectorAll("#cards > article").length === 6`)
}

func testLease(t *testing.T, chrome context.Context) {
	f, _, b := enrolled(t, chrome)
	f.park(f.request(lease), 30*time.Minute, "")
	b.Click("Allow for …")
	b.Sees("LEASE")
	if got := webtest.Eval[string](b, `[...document.querySelectorAll(".lease option")].map((o) => o.textContent).join()`); got != "5 min,15 min,30 min" {
		t.Errorf("choices: %s", got)
	}
	webtest.Eval[chromedp.Void](b, `(() => { const i = document.querySelector(".lease input"); i.value = "1001"; i.dispatchEvent(new Event("input")); })()`)
	b.Sees("Choose 1 to 1000 times")
	webtest.Eval[chromedp.Void](b, `(() => { const i = document.querySelector(".lease input"), s = document.querySelector(".lease select");
		i.value = "20"; s.value = "900000"; i.dispatchEvent(new Event("input")); })()`)
	before := time.Now()
	b.Click("Allow for 15 min, 20 times")
	b.Sees("Approved.")
	b.Click("End")
	b.Until(`document.getElementById("leave").hidden`)
	l := f.answers[0].Lease
	if l == nil || l.Uses != 20 || time.UnixMilli(l.Until).Sub(before) < 15*time.Minute-time.Second {
		t.Errorf("%+v", l)
	}
	if got := f.refusals; len(got) != 1 || got[0].Kind != web.RefuseEnd {
		t.Errorf("%+v", got)
	}
}

// To say no takes no passkey.
func testRefuse(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Open(link(t, s, web.LinkOpen, ""))
	one := f.park(f.request(nil), 0, "")
	b.Sees("No passkey is enrolled yet. Approve at a terminal: thumbturn approve " + one.ID)
	b.Click("Deny")
	b.Sees("Denied. " + one.Code)
	two := f.park(f.request(nil), 0, "")
	b.Sees(two.Code)
	b.Click("Deny and mute 10 min")
	b.Click("Unmute")
	b.Until(`document.getElementById("leave").hidden`)
	want := []web.Refusal{{Kind: web.RefuseDeny, ID: one.ID}, {Kind: web.RefuseMute, ID: two.ID, For: 600_000}, {Kind: web.RefuseUnmute, ID: two.ID}}
	if diff := cmp.Diff(want, f.refusals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func testUnlock(t *testing.T, chrome context.Context) {
	f, s, b := enrolled(t, chrome)
	f.change(func(s *web.State) { s.State = web.Locked })
	b.Open(link(t, s, web.LinkUnlock, "tty-7"))
	b.Click("Unlock with a passkey")
	b.Sees("Unlocked.")
	b.Sees("Nothing waits.")
	b.Open(link(t, s, web.LinkUnlock, "tty-8")) // another terminal, while unlocked
	b.Click("Confirm with a passkey")
	b.Sees("Unlocked.")
	if diff := cmp.Diff([]string{"tty-7", "tty-8"}, f.unlocked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for state, text := range map[string]string{web.Held: "rolled back or forked", web.Empty: "thumbturn init", "odd": "thumbturn unlock --passkey"} {
		f.change(func(s *web.State) { s.State = state })
		b.Sees(text)
	}
}

// Everything works from the keyboard, in the order of the page.
func testKeyboard(t *testing.T, chrome context.Context) {
	f, s, b := enrolled(t, chrome)
	b.Open(link(t, s, web.LinkOpen, ""))
	f.park(f.request(nil), time.Hour, "")
	b.Sees("Give a secret")
	b.Until(`!document.body.classList.contains("arming")`)
	var order []string
	for range 4 {
		b.Do(chromedp.KeyEvent("\t"))
		order = append(order, webtest.Eval[string](b, `document.activeElement.textContent`))
	}
	if diff := cmp.Diff([]string{"Approve once", "Allow for …", "Deny", "Deny and mute 10 min"}, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 3 {
		b.Do(chromedp.KeyEvent("\t", chromedp.KeyModifiers(8))) // shift
	}
	b.Do(chromedp.KeyEvent("\r"))
	b.Sees("Approved.")
	if id := webtest.Eval[string](b, `document.activeElement.id`); id != "notice" {
		t.Errorf("the focus is on %q", id)
	}
}

// A link lets one page in; that page stays in when it is reloaded, and ends with its tab.
func testLink(t *testing.T, chrome context.Context) {
	_, s := serve(t)
	u := link(t, s, web.LinkOpen, "")
	b := webtest.NewTab(t, chrome)
	b.Open(u)
	b.Sees("Nothing waits.")
	b.Do(chromedp.Reload())
	b.Sees("Nothing waits.")
	if got := webtest.Eval[string](b, `document.cookie + localStorage.length`); got != "0" {
		t.Errorf("the page keeps %q", got)
	}
	for _, again := range []string{u, s.Origin + "/", s.Origin + "/#t=", s.Origin + "/#x=" + strings.Repeat("0", 26)} {
		other := webtest.NewTab(t, chrome)
		other.Open(again)
		other.Sees("This page is closed")
		if got := webtest.Eval[string](other, `location.href`); got != s.Origin+"/" {
			t.Errorf("the address bar shows %q", got)
		}
	}
}

// On a phone nothing is cut and nothing is wider than the screen.
func testPhone(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Do(chromedp.EmulateViewport(360, 740))
	b.Open(link(t, s, web.LinkOpen, ""))
	r := f.request(hostile)
	r.Place.Dir = "/" + strings.Repeat("a", 400)
	r.Subjects[0].Ref = "op://" + strings.Repeat("v", 200) + "/i/f"
	r.Purpose.Value += strings.Repeat("ä\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", 20) + "\u202e" + strings.Repeat("x", 200)
	q := f.park(r, time.Hour, "")
	b.Sees(q.Code)
	if n := webtest.Eval[int](b, `document.documentElement.scrollWidth`); n > 360 {
		t.Errorf("%d wide", n)
	}
	cut := webtest.Eval[[]string](b, `[...document.querySelectorAll("article *:not(.unseen)")].filter((e) => {
		const r = e.getBoundingClientRect(), s = getComputedStyle(e);
		return r.width > 0 && (r.right > 360 || r.left < 0 || s.textOverflow === "ellipsis" || s.display !== "inline" && e.scrollWidth > e.clientWidth + 1);
	}).map((e) => e.outerHTML.slice(0, 80))`)
	if len(cut) > 0 {
		t.Errorf("cut: %q", cut)
	}
	text := webtest.Eval[string](b, `document.querySelector("article").innerText`)
	for _, want := range append(r.Place.Shown[2:2], canon.Escape(r.Place.Dir), canon.Escape(r.Subjects[0].Ref), canon.Escape(r.Purpose.Value), `\u{1b}[2Kecho harmless`, `<b>now</b>`) {
		if !strings.Contains(text, want) {
			t.Errorf("not shown: %q", want)
		}
	}
	if top := webtest.Eval[float64](b, `document.querySelector(".groups").getBoundingClientRect().top`); top < 0 {
		t.Errorf("the groups begin at %v", top)
	}
}

// longest is a request with all that a request may have, and much of it.
func longest(r *canon.Request) {
	r.TestHome, r.Place.Free = true, true
	r.Caller.Root, r.Caller.Label = strings.Repeat("4211883120.", 5), "claude"
	r.Principal, r.Tenant = canon.Fact{Value: "uid 1000", Derived: true}, canon.Fact{Value: strings.Repeat("tenant ", 20)}
	r.Purpose.Value = strings.Repeat("a long reason with words, and one that has no end"+strings.Repeat("x", 80)+" ", 12)
	s := r.Subjects[0]
	s.Ref, s.Writer = "op://"+strings.Repeat("vault", 12)+"/"+strings.Repeat("item", 30)+"/section/field", "agent (claude)"
	s.Addresses = strings.TrimSpace(strings.Repeat("https://"+strings.Repeat("label.", 20)+"example:8443 ", 4))
	r.Subjects, r.Place.Names = nil, nil
	for range 16 {
		r.Subjects, r.Place.Names = append(r.Subjects, s), append(r.Place.Names, strings.Repeat("VARIABLE_", 9))
	}
	for range 60 {
		r.Place.Shown = append(r.Place.Shown, "--flag="+strings.Repeat("p\u0430y", 15), "हिन्दी मराठी", strings.Repeat("a\u0301\u0323\u0302\u0304", 12))
	}
	r.Place.Program, r.Place.Dir = "/"+strings.Repeat("bin/", 60)+"npm", "/"+strings.Repeat("directory/", 60)
	r.Place.Image = &canon.Image{Hash: strings.Repeat("3f", 32), File: "fe01:1183", Interpreter: "/usr/bin/node", IntHash: strings.Repeat("4a", 32), IntFile: "fe01:77"}
}

// Whoever reaches a button has passed all that it is about: nothing is cut, covered or
// behind another click, on a phone and on a desk, however long a request is, of eight in
// one card and in eight. What counts most of an ordinary one fits a phone's screen.
func testFold(t *testing.T, chrome context.Context) {
	f, s, b := enrolled(t, chrome)
	b.Open(link(t, s, web.LinkOpen, ""))
	look := func(what string, cards, members int) {
		t.Helper()
		b.Until(fmt.Sprintf(`document.querySelectorAll("article.card .head").length === %d`, members))
		for _, size := range [][2]int64{{360, 640}, {1280, 800}} {
			b.Do(chromedp.EmulateViewport(size[0], size[1]), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
			bad := webtest.Eval[[]string](b, `(() => {
				const out = [], all = [...document.querySelectorAll("#cards > article")], box = (e) => e.getBoundingClientRect();
				if (all.length !== `+fmt.Sprint(cards)+`) out.push(all.length + " cards");
				for (const card of all) {
					const buttons = [...card.querySelectorAll("button.gives")].filter((b) => b.offsetParent);
					if (buttons.length === 0) out.push("no button");
					const end = Math.min(...buttons.map((b) => box(b).top));
					for (const e of card.querySelectorAll("h3, .code .digits, dt, dd, dd div, h4")) {
						if (e.closest(".lease")) continue; // has a button of its own
						const r = box(e), style = getComputedStyle(e);
						if (r.height === 0 || r.bottom > end || r.left < 0 || r.right > innerWidth || style.visibility !== "visible" || style.opacity < 1 ||
							style.display !== "inline" && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 8)) out.push(e.outerHTML.slice(0, 100) + JSON.stringify([r, end, e.scrollHeight, e.clientHeight]));
					}
				}
				return out.slice(0, 5);
			})()`)
			if len(bad) > 0 {
				t.Errorf("%s on %d: %q", what, size[0], bad)
			}
		}
	}
	q := f.park(f.request(nil), 30*time.Minute, "the vault prod is guarded")
	b.Sees(q.Code)
	look("an ordinary request", 1, 1)
	b.Do(chromedp.EmulateViewport(360, 640), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
	if end := webtest.Eval[float64](b, `document.querySelector(".brief").getBoundingClientRect().bottom`); end > 640 {
		t.Errorf("one look ends at %v", end)
	}
	b.Do(chromedp.EmulateViewport(1280, 800))
	if end := webtest.Eval[float64](b, `document.querySelector("button.gives").getBoundingClientRect().bottom`); end > 800 {
		t.Errorf("on a desk the button ends at %v", end)
	}
	clear := func() { f.change(func(s *web.State) { s.Requests = nil }); b.Sees("Nothing waits.") }
	clear()
	long := f.request(longest)
	f.park(long, 0, strings.Repeat("because ", 40))
	look("the longest", 1, 1)
	flat := strings.Join(strings.Fields(webtest.Eval[string](b, `document.querySelector("#cards").innerText`)), "")
	for _, l := range canon.Lines(long) {
		if !strings.Contains(flat, strings.Join(strings.Fields(l.Text), "")) {
			t.Errorf("not shown: %s %s", l.Label, l.Text)
		}
	}
	clear()
	at := time.Now().UnixMilli()
	for range 8 {
		f.park(f.request(func(r *canon.Request) { longest(r); r.Issued = at }), 0, "")
	}
	look("eight of one session", 1, 8)
	clear()
	for i := range 8 {
		f.park(f.request(func(r *canon.Request) { r.Caller.Root = fmt.Sprint(i, ".1.b7") }), 30*time.Minute, "the vault prod is guarded")
	}
	look("eight of eight sessions", 8, 8)
}

// The page of a server that is not there any more says so, and offers nothing.
func testGone(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Open(link(t, s, web.LinkOpen, ""))
	q := f.park(f.request(nil), 0, "")
	b.Sees(q.Code)
	webtest.Eval[chromedp.Void](b, `window.fetch = () => Promise.reject(new TypeError("no network"))`)
	f.change(func(*web.State) {}) // the poll that was under way comes back
	b.Until(`document.getElementById("vaults").textContent === "Not connected"`)
	webtest.Eval[chromedp.Void](b, `window.fetch = () => Promise.resolve(new Response("not found", { status: 404, headers: { "Content-Type": "text/plain" } }))`)
	b.Sees("This page is closed")
	if n := webtest.Eval[int](b, `[...document.querySelectorAll("button")].filter((b) => b.offsetParent).length`); n != 0 {
		t.Errorf("%d buttons", n)
	}
}

func testSearch(t *testing.T, chrome context.Context) {
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	one, two := f.park(f.request(nil), 0, ""), f.park(f.request(lease), 0, "")
	f.change(func(s *web.State) { s.History, s.Requests = s.Requests, nil })
	b.Open(link(t, s, web.LinkOpen, ""))
	b.Sees(one.Code)
	b.Do(chromedp.SendKeys(chromedp.ID("find"), "Postgres"))
	b.Sees("1 of 2")
	if text := webtest.Eval[string](b, `document.getElementById("history").innerText`); strings.Contains(text, one.Code) || !strings.Contains(text, two.Code) {
		t.Errorf("found: %s", text)
	}
}
