// Package doctor is the doctor command: it looks at the home, the daemon and
// what surrounds them, and says what stands in the way of keeping secrets. It
// reads only. It starts no daemon, opens no value, and repeats none that it
// finds lying about.
package doctor

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what doctor takes from outside.
type Options struct {
	Console    *console.Console
	Version    string                 // X.Y.Z of this program
	OS         string                 // runtime.GOOS
	Environ    []string               // os.Environ()
	Dir        func() (string, error) // the working directory
	Executable func() (string, error) // os.Executable
	Now        func() time.Time
	Built      func() time.Time // when this program was built; zero if unknown
	// Running dials without starting a daemon.
	Running func(context.Context) (*sdk.Client, error)
}

// State is what a finding means. The zero State is a problem.
type State int

// The states.
const (
	Problem State = iota // something does not work, or is not safe
	Warning              // worth a look
	OK
)

// String returns the word that is printed.
func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Warning:
		return "warning"
	}
	return "problem"
}

// MarshalText returns the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one line of the report.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do
}

// New returns the doctor command.
func New(o Options) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what stands in the way of keeping secrets",
		Long: `Look at permissions, the daemon, the clock, locked memory, PATH, and at plaintext
credentials in the environment and in env files of the working directory. Each
line says ok, warning or problem, and what to do. It reads only, starts nothing,
and never prints a value.

Exit status: 1 where there is a problem; warnings do not count.`,
		Example: "  thumbturn doctor\n  thumbturn doctor --format json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Run(cmd.Context(), o) },
	}
}

// Run examines and reports.
func Run(ctx context.Context, o Options) error {
	found := o.examine(ctx)
	problems := 0
	for _, f := range found {
		if f.State == Problem {
			problems++
		}
	}
	report := struct {
		OK       bool      `json:"ok"`
		Findings []Finding `json:"findings"`
	}{problems == 0, found}
	err := o.Console.Print(report, func(w io.Writer) { o.print(w, found) })
	if err == nil && problems > 0 {
		err = fault.New(fault.Unavailable, "doctor", "", fmt.Sprintf("%d of %d findings are problems", problems, len(found)))
	}
	return err
}

func (o Options) examine(ctx context.Context) []Finding {
	var out []Finding
	home, err := o.Console.Home()
	if err != nil {
		out = append(out, Finding{"home", Problem, err.Error(), "set HOME, or THUMBTURN_HOME to an absolute path"})
	} else {
		out = append(out, o.home(home)...)
		out = append(out, o.daemon(ctx, home)...)
		out = append(out, o.clock(home))
	}
	out = append(out, memory()...)
	out = append(out, o.path()...)
	out = append(out, o.environment()...)
	out = append(out, o.loose()...)
	return append(out, o.platform()...)
}

func (o Options) print(w io.Writer, found []Finding) {
	ink := console.NewInk(o.Console.OutIsTerminal, o.Console.Getenv)
	for _, f := range found {
		word := fmt.Sprintf("%-8s", f.State)
		switch f.State {
		case OK:
			word = ink.Green(word)
		case Warning:
			word = ink.Yellow(word)
		default:
			word = ink.Red(word)
		}
		fmt.Fprintf(w, "%s %-12s %s\n", word, f.Check+":", canon.Escape(f.Text))
		if f.Hint != "" {
			fmt.Fprintf(w, "%22sdo: %s\n", "", canon.Escape(f.Hint))
		}
	}
}

// daemon looks at the daemon that runs, if one does.
func (o Options) daemon(ctx context.Context, home api.Home) []Finding {
	const check = "daemon"
	out := []Finding{o.beside()}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := o.Running(ctx)
	if sdk.NotRunning(err) {
		return append(out, Finding{check, OK, "not running; it starts when it is needed", ""})
	}
	if err != nil {
		return append(out, failed(check, err, "find out which program listens on "+home.Socket()))
	}
	defer c.Close()
	if v := c.Hello().Version; v != o.Version {
		out = append(out, Finding{check, Problem, fmt.Sprintf("version %s runs, this program is %s", v, o.Version), "thumbturn daemon stop"})
	}
	st, err := c.Status(ctx)
	if err != nil {
		return append(out, failed(check, err, "thumbturn daemon stop"))
	}
	out = append(out, Finding{check, OK, fmt.Sprintf("runs, version %s, %s", c.Hello().Version, st.State), ""})
	out = append(out, judge(st, home)...)
	p, err := c.PIN(ctx)
	if err != nil {
		return append(out, failed("tpm", err, "thumbturn daemon stop"))
	}
	return append(out, chip(p, st.Mode, hasChip()))
}

// judge looks at what a daemon says of itself.
func judge(st api.Status, home api.Home) []Finding {
	var out []Finding
	if st.State == api.StateHeld {
		out = append(out, Finding{"ledger", Problem, st.Held, "docs/audit.md, \"When it is held\""})
	}
	if st.Home != home.Data {
		out = append(out, Finding{"home", Problem, "the daemon keeps " + st.Home + ", this program looks at " + home.Data,
			"use the same HOME, XDG variables and THUMBTURN_HOME for both"})
	}
	mode := Finding{"mode", OK, st.Mode + " mode", ""}
	if st.Mode == "user" {
		mode.Text += ": programs of your own user can do much that you can (spec/threats.md)"
	}
	if st.TestHome {
		mode.State, mode.Text, mode.Hint = Warning, st.Mode+" mode, test home", "keep no real secret in it"
	}
	out = append(out, mode, locks(st.Locks))
	out = append(out, page(st)...)
	if !st.MemoryLock {
		out = append(out, Finding{"memory", Warning, "the daemon could not lock its memory: values may reach swap", "raise `ulimit -l` to 4096 or more, then: thumbturn daemon stop"})
	}
	return out
}

// page says whether passkeys can approve, and whether anybody is told of requests.
func page(st api.Status) []Finding {
	const check = "page"
	a := st.Approval
	switch {
	case a.Page == "" && a.Why == "": // none was chosen yet
		return nil
	case a.Page == "":
		return []Finding{{check, Problem, "there is no approval page: " + a.Why, "open no link to it; find out which program has its port, end it, then: thumbturn approve"}}
	}
	return []Finding{{check, OK, "the approval page is at " + a.Page, ""}, {"desktop", OK, a.Desktop, ""}}
}

// locks looks at when the vaults lock by themselves.
func locks(l api.AutoLock) Finding {
	const check = "lock"
	after := time.Duration(l.After) * time.Millisecond
	switch {
	case after == 0 && len(l.On) == 0:
		return Finding{check, Warning, "the vaults stay open until `thumbturn lock`: " + l.Why, "thumbturn lock --after 8h"}
	case len(l.On) == 0:
		return Finding{check, Warning, "the vaults lock only after " + console.Span(after) + " unused: " + l.Why, "lock before you leave: thumbturn lock"}
	case after == 0:
		return Finding{check, Warning, "the vaults lock on " + strings.Join(l.On, ", ") + " only", "thumbturn lock --after 8h"}
	case l.Why != "":
		return Finding{check, Warning, l.Why, ""}
	}
	return Finding{check, OK, "the vaults lock after " + console.Span(after) + " unused, on " + strings.Join(l.On, ", "), ""}
}

// failed is an error of a call as a finding.
func failed(check string, err error, hint string) Finding {
	e := console.Fault(err)
	if e.Hint != "" {
		hint = e.Hint
	}
	return Finding{check, Problem, e.Error(), hint}
}
