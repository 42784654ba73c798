// Package session is the commands unlock, lock, status and whoami.
package session

import (
	"context"
	"errors"
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

// Options is what the commands of this package take.
type Options struct {
	Console *console.Console
	// Running dials without starting a daemon.
	Running func(context.Context) (*sdk.Client, error)
	File    string // unlock only: the passphrase
	Passkey bool   // unlock only: by the page
	After   string // lock only: when to lock, instead of locking
}

// NewUnlock returns the unlock command.
func NewUnlock(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Open the vaults and mark this terminal as yours",
		Long: `Open the vaults and mark this terminal session as a person's. It asks again in
each terminal, also while the vaults are open. Unlocking approves nothing.

--passkey opens a page in the browser and takes a passkey in place of the unlock
passphrase.`,
		Example: "  thumbturn unlock\n  thumbturn unlock --passkey",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Unlock(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.Passkey, "passkey", false, "unlock with a passkey, on a page in the browser")
	cmd.Flags().StringVar(&o.File, "passphrase-file", "", "read the passphrase from `FILE` (test homes only)")
	cmd.MarkFlagsMutuallyExclusive("passkey", "passphrase-file")
	return cmd
}

// Unlock opens the vaults.
func Unlock(ctx context.Context, o Options) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if o.File == "" && o.Console.Prompt.IsTerminal() {
			if err := ownTerminal(ctx, s); err != nil {
				return err
			}
		}
		if o.Passkey {
			return o.byPasskey(ctx, s)
		}
		p, auth, err := o.Console.Passphrase("unlock passphrase: ", o.File)
		if err != nil {
			return err
		}
		defer clear(p)
		if err := s.Unlock(ctx, auth, p); err != nil {
			return err
		}
		return state(o.Console, "unlocked")
	})
}

// byPasskey opens the page and waits for the touch.
func (o Options) byPasskey(ctx context.Context, s *sdk.Client) error {
	var refused error
	err := s.UnlockPage(ctx, api.Auth{Source: console.FromTerminal}, func(w api.Waiting) {
		o.Console.Say("code: %s (the page must show the same)", canon.Escape(w.Code))
		refused = o.Console.Browse(ctx, w.URL, "to unlock with a passkey")
	})
	if err = errors.Join(refused, err); err != nil {
		return err
	}
	return state(o.Console, "unlocked")
}

// ownTerminal refuses before anything is typed where the daemon would refuse
// afterwards: a passphrase typed under an agent is in the agent's hands.
func ownTerminal(ctx context.Context, s *sdk.Client) error {
	st, err := s.Status(ctx)
	if err != nil || st.TestHome {
		return err
	}
	w, err := s.Whoami(ctx)
	if err == nil && w.UnderAgent != "" {
		return fault.New(fault.Denied, "unlock", "", "refused under an agent ("+canon.Escape(w.UnderAgent)+")").
			WithHint("run it in a terminal of your own")
	}
	return err
}

// NewLock returns the lock command.
func NewLock(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Close the vaults; what waits for approval ends",
		Long: `Close the vaults. Leases and waiting requests end; what is being delivered is
finished first. Programs that hold a value keep it.

With --after it does not lock: it chooses how long the vaults may stay open
without a use by a person or a delivery, and is kept. They also lock on suspend,
screen lock and logout, where status says so.`,
		Example: "  thumbturn lock\n  thumbturn lock --after 15m\n  thumbturn lock --after 0     # never by itself for not being used",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("after") {
				return LockAfter(cmd.Context(), o)
			}
			return Lock(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.After, "after", "", "lock by itself after this `TIME` unused, 0 for never")
	return cmd
}

// LockAfter chooses when the vaults lock by themselves.
func LockAfter(ctx context.Context, o Options) error {
	after, err := console.Duration(o.After)
	if err != nil {
		return err
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if err := s.LockAfter(ctx, after); err != nil {
			return err
		}
		return o.Console.Print(api.LockAfter{After: after.Milliseconds()}, func(w io.Writer) { fmt.Fprintln(w, "locks "+unused(after)) })
	})
}

func unused(after time.Duration) string {
	if after == 0 {
		return "never for not being used"
	}
	return "after " + console.Span(after) + " unused"
}

// approvals says by what a person approves; while nothing was read, nobody can say.
func approvals(st api.Status) string {
	a := st.Approval
	finger := ""
	if a.Finger {
		finger = " with a finger beside it"
	}
	switch {
	case a.Passkeys == 0 && !a.Passphrase:
		return ""
	case a.Passkeys == 0:
		return "by the presence passphrase" + finger + "; a passkey is better: thumbturn passkey add"
	case a.Passphrase:
		return fmt.Sprintf("by %d passkeys, or the presence passphrase%s", a.Passkeys, finger)
	case a.PIN && a.Finger:
		return fmt.Sprintf("by %d passkeys, or the PIN%s", a.Passkeys, finger)
	}
	return fmt.Sprintf("by %d passkeys", a.Passkeys)
}

// locks says in one line when the vaults lock by themselves.
func locks(l api.AutoLock) string {
	text := unused(time.Duration(l.After) * time.Millisecond)
	for _, on := range l.On {
		text += ", on " + on
	}
	if l.Why != "" {
		text += "; " + l.Why
	}
	return text
}

// Lock closes the vaults. A daemon that does not run holds nothing open.
func Lock(ctx context.Context, o Options) error {
	s, err := o.Running(ctx)
	if sdk.NotRunning(err) {
		return state(o.Console, "locked")
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Lock(ctx); err != nil {
		return err
	}
	return state(o.Console, "locked")
}

func state(c *console.Console, s string) error {
	return c.Print(map[string]string{"state": s}, func(w io.Writer) { fmt.Fprintln(w, s) })
}

// NewStatus returns the status command.
func NewStatus(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show how the daemon and its home are",
		Example: "  thumbturn status\n  thumbturn status --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				st, err := s.Status(cmd.Context())
				if err != nil {
					return err
				}
				p, err := s.PIN(cmd.Context())
				if err != nil {
					return err
				}
				all := struct {
					api.Status
					PIN api.PIN `json:"pin"`
				}{st, p}
				return o.Console.Print(all, func(w io.Writer) {
					printStatus(w, st)
					lines(w, "PIN", console.PIN(p), "TPM", console.TPM(p.TPM))
				})
			})
		},
	}
}

// NewWhoami returns the whoami command.
func NewWhoami(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "whoami",
		Short:   "Show whom the daemon takes you for, and by what evidence",
		Example: "  thumbturn whoami",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				who, err := s.Whoami(cmd.Context())
				if err != nil {
					return err
				}
				return o.Console.Print(who, func(w io.Writer) { printWhoami(w, who) })
			})
		},
	}
}

// lines prints label and text in two columns and leaves out empty texts.
func lines(w io.Writer, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%-12s %s\n", pairs[i]+":", canon.Escape(pairs[i+1]))
		}
	}
}

func yes(b bool, s string) string {
	if b {
		return s
	}
	return ""
}

func printStatus(w io.Writer, st api.Status) {
	vaults := ""
	if st.Counts != nil {
		vaults = fmt.Sprintf("%d, with %d items", st.Vaults, st.Items)
	}
	lines(w,
		"state", st.State, "held", st.Held, "mode", st.Mode,
		"test home", yes(st.TestHome, "yes: not for real secrets"),
		"version", st.Version, "account", st.Account, "device", st.Device, "root key", st.Root,
		"home", st.Home, "daemon", fmt.Sprintf("pid %d, since %s, started by %s", st.PID, moment(st.Started), st.StartedBy),
		"ledger", fmt.Sprintf("%d statements, %d events", st.Statements, st.Events),
		"vaults", vaults,
		"requests", fmt.Sprintf("%d waiting", st.Pending),
		"approvals", approvals(st),
		"page", st.Approval.Page+yes(st.Approval.Why != "", "none: "+st.Approval.Why),
		"desktop", yes(st.Approval.Page != "", st.Approval.Desktop),
		"locks", locks(st.Locks),
		"memory", yes(!st.MemoryLock, "not locked: values may reach swap"),
		"policy", yes(st.PolicyDraft != "", "the draft differs from what is in force"),
		"page", st.Approval.Page,
	)
	if st.Approval.Why != "" && st.Approval.Page == "" {
		lines(w, "warning", "THERE IS NO APPROVAL PAGE: "+st.Approval.Why)
	}
	for _, m := range st.Warnings {
		lines(w, "warning", m)
	}
}

func printWhoami(w io.Writer, who api.Whoami) {
	lines(w,
		"kind", who.Kind, "looks like", who.Label, "why", who.Why, "session", who.Root,
		"uid", fmt.Sprint(who.UID), "terminal", who.Terminal,
		"unlocked", yes(who.Unlocked, "in this terminal"), "under agent", who.UnderAgent,
		"chain", strings.Join(who.Chain, " <- "))
}

func moment(ms int64) string {
	if ms == 0 {
		return "unknown"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}
