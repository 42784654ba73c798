// Package console is what every command shares: the streams, the prompts, the
// output format, and the way to the daemon. All effects are fields, so that a
// test replaces them.
//
// Manners: results go to stdout; questions go to the terminal; everything else
// goes to stderr in lower case. Text that came from outside passes canon.Escape
// before a person sees it.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Prompter asks at the terminal. Prompts and answers never touch stdin or
// stdout when these are not the terminal. Errors are classified (internal/fault).
type Prompter interface {
	// IsTerminal reports whether there is somebody to ask.
	IsTerminal() bool
	// Hidden reads one line without echo; the caller wipes it.
	Hidden(prompt string) ([]byte, error)
	// Line reads one line with echo.
	Line(prompt string) (string, error)
	// Confirm asks a yes-or-no question; everything but yes is no.
	Confirm(prompt string) (bool, error)
}

// Console is one run of the program.
type Console struct {
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	Prompt Prompter
	Getenv func(string) string
	Home   func() (api.Home, error)
	// Dial connects to the daemon and starts it first where it is not running.
	Dial func(context.Context) (*sdk.Client, error)
	// InputIsTerminal tells that In is a terminal, so that reading it to the
	// end would look like a hang.
	InputIsTerminal bool
	Rand            io.Reader
	// What goes to a terminal may have colour, and Err may show progress.
	OutIsTerminal, ErrIsTerminal bool
	Now                          func() time.Time

	// Set by the global flags.
	Format string // "human" or "json"
	Yes    bool

	waiting api.Waiting // the request last announced
}

// JSON reports whether results are printed as JSON.
func (c *Console) JSON() bool { return c.Format == "json" }

// PrintJSON prints v indented, with a final newline.
func (c *Console) PrintJSON(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Print prints v as JSON, or calls human.
func (c *Console) Print(v any, human func(io.Writer)) error {
	if c.JSON() {
		return c.PrintJSON(v)
	}
	w := &remembers{Writer: c.Out}
	human(w)
	return w.err
}

// remembers is a writer that keeps its first error: what prints a line after the
// other need not look at each.
type remembers struct {
	io.Writer
	err error
}

func (w *remembers) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.Writer.Write(b)
	w.err = err
	return n, err
}

// Say prints one line of comment to stderr.
func (c *Console) Say(format string, args ...any) {
	fmt.Fprintf(c.Err, format+"\n", args...)
}

// Session dials, runs f, and hangs up.
func (c *Console) Session(ctx context.Context, f func(*sdk.Client) error) error {
	client, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return f(client)
}

// Waiting tells that a person is awaited, or a finger; it serves as onWaiting of the sdk.
func (c *Console) Waiting(w api.Waiting) {
	if w.Finger != "" {
		c.Say("%s", canon.Escape(w.Finger))
		return
	}
	if c.waiting.Request == w.Request {
		return
	}
	c.waiting = w
	why := ""
	if w.Why != "" {
		why = ": " + canon.Escape(w.Why)
	}
	c.Say("waiting for approval of request %s (code %s)%s", canon.Escape(w.Request), canon.Escape(w.Code), why)
	c.Say("hint: approve it with: thumbturn approve %s", canon.Escape(w.Request))
	if w.URL != "" {
		c.Say("hint: or on the page, where it is open: %s", canon.Escape(w.URL))
	}
}

// Parked passes err on; where it means that a request was left waiting, it
// first prints the id with which to come back.
func (c *Console) Parked(err error) error {
	e := Fault(err)
	if e == nil || e.Kind != fault.Pending {
		return err
	}
	id := e.Ref
	if id == "" {
		id = c.waiting.Request
	}
	if id == "" {
		return err
	}
	if c.JSON() {
		return errors.Join(c.PrintJSON(map[string]string{"request": id}), err)
	}
	fmt.Fprintln(c.Out, canon.Escape(id))
	if e.Hint == "" {
		e = e.WithHint("after `thumbturn approve " + canon.Escape(id) + "`, repeat the command with --request " + canon.Escape(id))
	}
	return e
}

// WarnHome says loudly that the home comes from the environment: whoever set it
// chose where passphrases go.
func (c *Console) WarnHome() {
	if h := c.Getenv("THUMBTURN_HOME"); h != "" {
		c.Say("WARNING: THUMBTURN_HOME is set: using %s; do not go on if you did not set it", canon.Escape(h))
	}
}

// Confirm asks before something that cannot be undone; --yes answers it.
func (c *Console) Confirm(question string) error {
	if c.Yes {
		return nil
	}
	if !c.Prompt.IsTerminal() {
		return fault.New(fault.Usage, "", "", "there is no terminal to confirm at").WithHint("add --yes")
	}
	ok, err := c.Prompt.Confirm(question)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Denied, "", "", "stopped")
	}
	return nil
}

// AskFlags returns the flags of commands that may have to wait for a person.
func AskFlags(a *api.Ask) *flag.FlagSet {
	f := flag.NewFlagSet("ask", flag.ContinueOnError)
	f.BoolVar(&a.NoWait, "no-wait", false, "print the request's id and leave with status 5 instead of waiting for a person")
	f.BoolFunc("wait", "wait for a person, as is done without --no-wait", func(s string) error {
		on, err := strconv.ParseBool(s)
		a.NoWait = !on
		return err
	})
	f.StringVar(&a.Request, "request", "", "come back for the answer to request `ID`")
	f.StringVar(&a.Purpose, "purpose", "", "tell the approver what this is for; `TEXT` is shown as a claim")
	f.Var((*millis)(&a.Timeout), "timeout", "wait for a person for at most `DURATION`, such as 90s or 10m")
	return f
}
