// Package webtest drives the approval page in a real Chromium with virtual
// authenticators, for tests of this and other packages.
package webtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// patience bounds what a test waits for in the browser.
const patience = 30 * time.Second

// Browser starts Chromium; every test makes tabs of its own in it.
func Browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("SKIP: no Chromium; see .ci/setup. The page is not tested in a browser.")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.WindowSize(1280, 800))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, done := chromedp.NewContext(ctx)
	t.Cleanup(done)
	if err := chromedp.Do(ctx); err != nil { // without a timeout: it is the browser's life
		t.Fatal(err)
	}
	return ctx
}

// Tab is a page with an authenticator of its own.
type Tab struct {
	t   *testing.T
	Ctx context.Context
	ID  webauthn.AuthenticatorID
}

// NewTab opens one.
func NewTab(t *testing.T, browser context.Context) *Tab {
	t.Helper()
	ctx, done := chromedp.NewContext(browser)
	t.Cleanup(done)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	// As if each tab were in front: tests share a browser.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return &Tab{t: t, Ctx: ctx}
}

// Authenticator adds a virtual one, with what the test wants of it.
func (b *Tab) Authenticator(edit func(*webauthn.VirtualAuthenticatorOptions)) {
	b.t.Helper()
	if _, err := chromedp.Call(b.Ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	o := &webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
		Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, HasPrf: true, AutomaticPresenceSimulation: true}
	if edit != nil {
		edit(o)
	}
	r, err := chromedp.Call(b.Ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: o})
	if err != nil {
		b.t.Fatal(err)
	}
	b.ID = r.AuthenticatorID
}

// Do takes steps, and fails the test where one fails.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(b.Ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
		b.t.Fatalf("%v; the page says:\n%s", err, text)
	}
}

// Open goes to an address.
func (b *Tab) Open(link string) { b.t.Helper(); b.Do(chromedp.Navigate(link)) }

// Button is a script that finds the visible button with this text.
func Button(text string) string {
	return `[...document.querySelectorAll("button")].find((b) => b.textContent.trim() === ` + Quote(text) + ` && b.offsetParent && b.getAttribute("aria-disabled") !== "true")`
}

// Click clicks the button with this text as a person does: once it is armed.
func (b *Tab) Click(text string) {
	b.t.Helper()
	const armed = `!document.body.classList.contains("arming") && !document.body.classList.contains("busy")`
	for range 20 { // the page may draw anew between a look and the click
		b.Until(Button(text) + ` && ` + armed)
		if at := b.at(text); len(at) == 2 && Eval[bool](b, armed) {
			b.Do(chromedp.MouseClickXY(at[0], at[1]))
			return
		}
	}
	b.t.Fatalf("the button %q does not stay", text)
}

// at is the middle of a button, nothing where there is none.
func (b *Tab) at(text string) []float64 {
	b.t.Helper()
	return Eval[[]float64](b, `(() => { const e = `+Button(text)+`; if (!e) return []; e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
}

// Hit clicks it at once, armed or not.
func (b *Tab) Hit(text string) {
	b.t.Helper()
	at := b.at(text)
	if len(at) != 2 {
		b.t.Fatalf("there is no button %q", text)
	}
	b.Do(chromedp.MouseClickXY(at[0], at[1]))
}

// Until waits for an expression to hold.
func (b *Tab) Until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		if err == nil && ok {
			return
		}
		if ctx.Err() != nil {
			text, _ := chromedp.Run(b.Ctx, chromedp.Evaluate[string](`document.body.innerText`))
			b.t.Fatalf("never: %s (%v); the page says:\n%s", expression, err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Sees waits for a text on the page.
func (b *Tab) Sees(text string) {
	b.t.Helper()
	b.Until(`document.querySelector("main").innerText.includes(` + Quote(text) + `)`)
}

// Quote is a text as a script's.
func Quote(s string) string {
	return "`" + strings.NewReplacer("`", "\\`", "\\", "\\\\").Replace(s) + "`"
}

// Eval is the value of an expression on the page.
func Eval[T any](b *Tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// Post asks the API from within the page, with its token. It returns the status, or
// the name of the error.
func (b *Tab) Post(origin, call, body string) string {
	b.t.Helper()
	return Eval[string](b, `fetch("`+origin+`/api/`+call+`", { method: "POST", body: `+Quote(body)+`, headers: { "Content-Type": "application/json",
		"Thumbturn-Token": JSON.parse(sessionStorage.getItem("pass") || "{}").token || "" } }).then((r) => String(r.status), (e) => e.name)`)
}

// Quiet fails the test if the browser complains: of the policy, of a script.
func (b *Tab) Quiet() {
	b.t.Helper()
	if _, err := chromedp.Call(b.Ctx, log.Enable, struct{}{}); err != nil {
		b.t.Fatal(err)
	}
	err := chromedp.Listen(b.Ctx, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.EntryLevelError {
				b.t.Errorf("the browser complains: %s %s", ev.Entry.Text, ev.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.t.Errorf("the script fails: %+v", ev.ExceptionDetails)
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
}
