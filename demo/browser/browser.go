// Package browser is a Chromium with a virtual authenticator, used as a person does.
package browser

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

	"github.com/thumbturn/thumbturn/demo/session"
)

const (
	startPatience = 15 * time.Second // until a browser answers
	pagePatience  = 10 * time.Second // until a page shows what it should
)

// Odd is an error of a browser that does not do what it should. Thumbturn is not to
// blame as far as anybody can tell, and the story goes on without a browser.
type Odd struct {
	What string
	Err  error
}

// Error is one line.
func (o *Odd) Error() string {
	return "the browser " + o.What + ": " + strings.Join(strings.Fields(o.Err.Error()), " ")
}

// Unwrap is the cause.
func (o *Odd) Unwrap() error { return o.Err }

// Find tells where the first Chromium of the search path is; empty where there is none.
func Find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Browser is a Chromium of its own with one tab, an authenticator made of software,
// and all its files in one folder. It is driven through a pipe: no port of it is
// open to others.
type Browser struct {
	tab context.Context
	end func()
	cmd *exec.Cmd
}

// Start returns a browser that answers, whose files are all in dir.
func Start(ctx context.Context, path, dir string, env []string) (*Browser, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &Browser{}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.WindowSize(1280, 800), chromedp.NoInheritEnv,
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			b.cmd = cmd
			cmd.Dir, cmd.SysProcAttr = dir, session.Own()
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
		b.Close()
		return nil, &Odd{"does not start", err}
	}
	return b, nil
}

// Close ends the browser and all that it started, and waits for it.
func (b *Browser) Close() {
	if b.cmd != nil && b.cmd.Process != nil {
		_ = session.Kill(b.cmd.Process.Pid) // it may have ended by itself
	}
	b.end()
}

// authenticator adds one that verifies its person at once and whose answers can
// decrypt (PRF), as a laptop's fingerprint reader does.
func (b *Browser) authenticator() error {
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

// Open goes to an address.
func (b *Browser) Open(link string) error {
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(link)); err != nil {
		return &Odd{"does not open the page", err}
	}
	return nil
}

// Eval is the value of an expression on the page; promises are waited for.
func Eval[T any](b *Browser, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, &Odd{"does not answer", err}
	}
	return v, nil
}

// Until waits for an expression to hold; what it stands for is said where it never does.
func (b *Browser) Until(what, expression string) error {
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
		page, _ := Eval[string](b, `document.body.innerText`) // no page says nothing
		return &Odd{"never " + what, errors.Join(err, errors.New("the page says: "+brief(page)))}
	}
}

// Button finds the visible button with a text, if it can be clicked.
func Button(text string) string {
	return "[...document.querySelectorAll('button')].find((b) => b.textContent.trim() === " + strconv.Quote(text) +
		" && b.offsetParent && b.getAttribute('aria-disabled') !== 'true')"
}

// Armed finds that button once it listens: one that gives something is deaf for a
// moment after the page changed, and while a passkey is in use.
func Armed(text string) string {
	return "((b) => b && !(b.classList.contains('gives') && /\\b(arming|busy)\\b/.test(document.body.className)))(" + Button(text) + ")"
}

// Press clicks a button as a person does, until something comes of it: a page that
// has just changed is deaf for a moment. A button that heard its click cannot be
// clicked again before it is done.
func (b *Browser) Press(text, done string) error {
	for tries := 0; ; tries++ {
		if err := b.Until("lets “"+text+"” be pressed, or hears it", "("+done+") || "+Armed(text)); err != nil {
			return err
		}
		over, err := Eval[bool](b, "!!("+done+")")
		if err != nil || over {
			return err
		}
		if tries == 20 {
			return &Odd{"presses “" + text + "” in vain", errors.New("the page does not hear it")}
		}
		if err := b.hit(text); err != nil {
			return err
		}
	}
}

// hit clicks a button at once, where it is.
func (b *Browser) hit(text string) error {
	at, err := Eval[[]float64](b, "(() => { const e = "+Button(text)+"; e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
	if err != nil || len(at) != 2 {
		return errors.Join(err, &Odd{"has no place for a click on “" + text + "”", errors.New("no button")})
	}
	ctx, cancel := context.WithTimeout(b.tab, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.MouseClickXY(at[0], at[1])); err != nil {
		return &Odd{"does not click “" + text + "”", err}
	}
	return nil
}

// brief is enough of a text to know it by.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 200)]
}
