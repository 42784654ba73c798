package web_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/thumbturn/thumbturn/internal/door/web"
)

// patience bounds what a test waits for in the browser.
const patience = 30 * time.Second

type wallClock struct{ start time.Time }

func (c wallClock) Now() time.Time           { return time.Now() }
func (c wallClock) SinceBoot() time.Duration { return time.Since(c.start) }

// browser starts Chromium; every test makes tabs of its own in it.
func browser(t *testing.T) context.Context {
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

// tab is a page with an authenticator of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	id  webauthn.AuthenticatorID
}

func newTab(t *testing.T, browser context.Context) *tab {
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
	return &tab{t: t, ctx: ctx}
}

// authenticator adds a virtual one, with what the test wants of it.
func (b *tab) authenticator(edit func(*webauthn.VirtualAuthenticatorOptions)) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	o := &webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
		Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, HasPrf: true, AutomaticPresenceSimulation: true}
	if edit != nil {
		edit(o)
	}
	r, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: o})
	if err != nil {
		b.t.Fatal(err)
	}
	b.id = r.AuthenticatorID
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
		b.t.Fatalf("%v; the page says:\n%s", err, text)
	}
}

func (b *tab) open(link string) { b.t.Helper(); b.do(chromedp.Navigate(link)) }

// button is a script that finds the visible button with this text.
func button(text string) string {
	return `[...document.querySelectorAll("button")].find((b) => b.textContent.trim() === ` + quote(text) + ` && b.offsetParent && b.getAttribute("aria-disabled") !== "true")`
}

// click clicks the button with this text as a person does: once it is armed.
func (b *tab) click(text string) {
	b.t.Helper()
	b.until(button(text) + ` && !document.body.classList.contains("arming") && !document.body.classList.contains("busy")`)
	b.hit(text)
}

// hit clicks it at once, armed or not.
func (b *tab) hit(text string) {
	b.t.Helper()
	at := eval[[]float64](b, `(() => { const e = `+button(text)+`; e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// until waits for an expression to hold.
func (b *tab) until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		if err == nil && ok {
			return
		}
		if ctx.Err() != nil {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
			b.t.Fatalf("never: %s (%v); the page says:\n%s", expression, err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// sees waits for a text on the page.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.until(`document.querySelector("main").innerText.includes(` + quote(text) + `)`)
}

func quote(s string) string {
	return "`" + strings.NewReplacer("`", "\\`", "\\", "\\\\").Replace(s) + "`"
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// serve runs a server over a fake backend.
func serve(t *testing.T) (*fake, *web.Server) {
	t.Helper()
	f := newFake(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	f.origin = "http://" + host + ":" + port
	s := &web.Server{Backend: f, Origin: f.origin, Clock: wallClock{time.Now()}, Rand: rand.Reader, Log: t.Logf}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f, s
}

func link(t *testing.T, s *web.Server, kind, arg string) string {
	t.Helper()
	u, err := s.Ticket(kind, arg)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// enrol makes a passkey through the page.
func (b *tab) enrol(s *web.Server) {
	b.t.Helper()
	b.open(link(b.t, s, web.LinkEnrol, "ticket"))
	b.click("Create the passkey")
	b.click("Use the passkey")
	b.sees("is enrolled")
}

// A test gets the browser and makes tabs and a server of its own.
type browserTest = func(t *testing.T, chrome context.Context)

func TestBrowser(t *testing.T) {
	chrome := browser(t)
	for _, c := range []struct {
		name string
		test browserTest
	}{
		{"approve with PRF", testApprove},
		{"approve without PRF", testSignOnly},
		{"options", testOptions},
		{"two batches", testBatches},
		{"odd PRF outputs", testOddOutputs},
		{"together", testTogether},
		{"lease", testLease},
		{"refuse", testRefuse},
		{"unlock", testUnlock},
		{"keyboard", testKeyboard},
		{"link", testLink},
		{"phone", testPhone},
		{"search", testSearch},
		{"gone", testGone},
		{"no verification", testNoVerification},
		{"forged answers of the authenticator", testForged},
		{"script clicks", testScriptClicks},
		{"early clicks", testEarlyClicks},
		{"agent with an authenticator", testAgent},
		{"frame", testFrame},
		{"other port", testOtherPort},
		{"lying backend", testLies},
		{"escape", testEscape},
		{"lines", testLines},
		{"answers", testAnswers},
		{"seal", testSeal},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, chrome) })
	}
}
