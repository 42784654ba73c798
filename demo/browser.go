package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

const (
	startPatience = 15 * time.Second // until a browser answers
	pagePatience  = 10 * time.Second // until a page shows what it should
)

// odd is what a browser did wrong. Thumbturn is not to blame as far as anybody can
// tell, and the story goes on without a browser.
type odd struct {
	what string
	err  error
}

func (o *odd) Error() string { return "the browser " + o.what + ": " + o.err.Error() }
func (o *odd) Unwrap() error { return o.err }

// chromium is where the first Chromium of the search path is, or empty.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// browser is a Chromium of its own with one tab, an authenticator made of software,
// and all its files in one folder. It is driven through a pipe: no port of it is
// open to others.
type browser struct {
	tab context.Context
	end func()
	cmd *exec.Cmd
}

func startBrowser(ctx context.Context, path, dir string, env []string) (*browser, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &browser{}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.WindowSize(1280, 800), chromedp.NoInheritEnv,
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			b.cmd = cmd
			cmd.Dir, cmd.SysProcAttr = dir, ownSession()
			cmd.Env = append(env, "HOME="+dir, "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir)
		}))
	allocator, freed := chromedp.NewExecAllocator(ctx, options...)
	quiet := func(string, ...any) {} // what goes wrong comes back as an error too
	tab, closed := chromedp.NewContext(allocator, chromedp.WithErrorf(quiet), chromedp.WithLogf(quiet))
	b.tab, b.end = tab, func() { closed(); freed() }
	// The first call has no deadline, since its context is the browser's life.
	late := time.AfterFunc(startPatience, closed)
	err := chromedp.Do(tab)
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err == nil {
		err = b.authenticator()
	}
	if err != nil {
		b.close()
		return nil, &odd{"does not start", err}
	}
	return b, nil
}

// close ends the browser and all that it started, and waits for it.
func (b *browser) close() {
	if b.cmd != nil && b.cmd.Process != nil {
		_ = killSession(b.cmd.Process.Pid) // it may have ended by itself
	}
	b.end()
}

// authenticator adds one that verifies its person at once and whose answers can
// decrypt (PRF), as a laptop's fingerprint reader does.
func (b *browser) authenticator() error {
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		return err
	}
	_, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
			Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
			HasPrf: true, AutomaticPresenceSimulation: true}})
	return err
}

func (b *browser) open(link string) error {
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(link)); err != nil {
		return &odd{"does not open the page", err}
	}
	return nil
}

// eval is the value of an expression on the page; promises are waited for.
func eval[T any](b *browser, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, &odd{"does not run " + strconv.Quote(brief(expression)), err}
	}
	return v, nil
}

// until waits for an expression to hold.
func (b *browser) until(expression string) error {
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && ok {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-ctx.Done():
		}
		page, _ := eval[string](b, `document.body.innerText`) // no page says nothing
		return &odd{"shows no " + strconv.Quote(brief(expression)), errors.Join(err, errors.New("the page says: "+brief(page)))}
	}
}

// button finds the visible button with a text, if it can be clicked.
func button(text string) string {
	return "[...document.querySelectorAll('button')].find((b) => b.textContent.trim() === " + strconv.Quote(text) +
		" && b.offsetParent && b.getAttribute('aria-disabled') !== 'true')"
}

// armed finds that button once it listens: one that gives something is deaf for a
// moment after the page changed, and while a passkey is in use.
func armed(text string) string {
	return "((b) => b && !(b.classList.contains('gives') && /\\b(arming|busy)\\b/.test(document.body.className)))(" + button(text) + ")"
}

// press clicks a button as a person does, until something comes of it: a page that
// has just changed is deaf for a moment. A button that heard its click cannot be
// clicked again before it is done.
func (b *browser) press(text, done string) error {
	for tries := 0; ; tries++ {
		if err := b.until("(" + done + ") || " + armed(text)); err != nil {
			return err
		}
		over, err := eval[bool](b, "!!("+done+")")
		if err != nil || over {
			return err
		}
		if tries == 20 {
			return &odd{"presses " + text + " in vain", errors.New("the page does not hear it")}
		}
		if err := b.hit(text); err != nil {
			return err
		}
	}
}

// hit clicks a button at once, where it is.
func (b *browser) hit(text string) error {
	at, err := eval[[]float64](b, "(() => { const e = "+button(text)+"; e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
	if err != nil || len(at) != 2 {
		return errors.Join(err, &odd{"has no place for a click on " + text, errors.New("no button")})
	}
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.MouseClickXY(at[0], at[1])); err != nil {
		return &odd{"does not click " + text, err}
	}
	return nil
}

// brief is enough of a text to know it by.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 200)]
}
