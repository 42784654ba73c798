// Package pin is the pin command: the PIN of this device's TPM, which approves at a
// terminal.
package pin

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/recipe"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the pin commands take.
type Options struct {
	Console  *console.Console
	Presence string // file with the presence passphrase
	New      string // file with the new PIN
}

// New returns the pin command.
func New(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{Use: "pin", Short: "Approve with a PIN that this device's TPM guards", Args: cobra.NoArgs,
		Example: "  thumbturn pin set\n  thumbturn pin status"}
	set := &cobra.Command{
		Use:   "set",
		Short: "Set the PIN, or replace it",
		Long: `Set a PIN that approves at a terminal in the place of the presence passphrase, which
stays. This takes the presence passphrase, the present PIN, or a passkey.

The TPM 2.0 of this device keeps what the PIN opens and lets only a few wrong ones
pass, for all programs together; then it refuses the right one too, until time has
passed. The PIN is good on this device alone: it is in no backup, and clearing the
TPM ends it. It has 4 to 64 characters.`,
		Example: "  thumbturn pin set",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Set(cmd.Context(), o) },
	}
	set.Flags().StringVar(&o.New, "new-pin-file", "", "read the new PIN from `FILE` (test homes only)")
	remove := &cobra.Command{
		Use:   "remove",
		Short: "Take the PIN away",
		Long: `Take the PIN away. It approves nothing from then on, and presence vaults get new
keys: whoever knows the PIN and kept an old copy reads nothing there that is written
later. The last way to approve anything, or to open a vault, cannot be removed.`,
		Example: "  thumbturn pin remove",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Remove(cmd.Context(), o) },
	}
	for _, x := range []*cobra.Command{set, remove} {
		x.Flags().StringVar(&o.Presence, "presence-passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	}
	status := &cobra.Command{Use: "status", Short: "Show whether a PIN is set, and what the TPM says", Args: cobra.NoArgs,
		Example: "  thumbturn pin status --format json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return Status(cmd.Context(), o) }}
	cmd.AddCommand(set, remove, status)
	return cmd
}

// Set sets the PIN.
func Set(ctx context.Context, o Options) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if err := ownTerminal(ctx, s, "pin set"); err != nil {
			return err
		}
		p, err := s.PIN(ctx)
		if err != nil {
			return err
		}
		if p.TPM.Why != "" { // before anything is typed
			return fault.New(fault.Unavailable, "pin set", "", canon.Escape(p.TPM.Why)).WithHint(canon.Escape(p.TPM.Hint))
		}
		presence, auth, err := o.Console.Presence(ctx, s, o.Presence)
		if err != nil {
			return err
		}
		defer clear(presence)
		fresh, err := o.fresh()
		if err != nil {
			return err
		}
		defer clear(fresh)
		if o.New != "" {
			auth.Source = console.FromFile
		}
		if err := s.SetPIN(ctx, auth, presence, fresh); err != nil {
			return err
		}
		return o.Console.Print(map[string]bool{"set": true}, func(w io.Writer) {
			fmt.Fprintln(w, "the PIN is set: it approves on this device")
		})
	})
}

// fresh asks for the new PIN, twice.
func (o Options) fresh() ([]byte, error) {
	p, _, err := o.Console.Passphrase("new PIN: ", o.New)
	if err != nil {
		return nil, err
	}
	if err = recipe.CheckPIN(p); err != nil {
		err = fault.New(fault.Usage, "pin set", "", err.Error())
	} else if o.New == "" {
		var again []byte
		again, _, err = o.Console.Passphrase("new PIN again: ", "")
		if err == nil && !bytes.Equal(p, again) {
			err = fault.New(fault.Usage, "pin set", "", "the two entries of the PIN differ")
		}
		clear(again)
	}
	if err != nil {
		clear(p)
		return nil, err
	}
	return p, nil
}

// ownTerminal refuses before anything is typed where the daemon would refuse
// afterwards: what is typed under an agent is in the agent's hands.
func ownTerminal(ctx context.Context, s *sdk.Client, op string) error {
	st, err := s.Status(ctx)
	if err != nil || st.TestHome {
		return err
	}
	w, err := s.Whoami(ctx)
	if err == nil && w.UnderAgent != "" {
		return fault.New(fault.Denied, op, "", "refused under an agent ("+canon.Escape(w.UnderAgent)+")").
			WithHint("run it in a terminal of your own")
	}
	return err
}

// Remove takes the PIN away.
func Remove(ctx context.Context, o Options) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if err := ownTerminal(ctx, s, "pin remove"); err != nil {
			return err
		}
		if err := o.Console.Confirm("take the PIN away for good?"); err != nil {
			return err
		}
		presence, auth, err := o.Console.Presence(ctx, s, o.Presence)
		if err != nil {
			return err
		}
		defer clear(presence)
		if err := s.RemovePIN(ctx, auth, presence); err != nil {
			return err
		}
		return o.Console.Print(map[string]bool{"set": false}, func(w io.Writer) { fmt.Fprintln(w, "the PIN is removed") })
	})
}

// Status prints whether a PIN is set, and what the TPM says.
func Status(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		p, err := s.PIN(ctx)
		if err != nil {
			return err
		}
		return o.Console.Print(p, func(w io.Writer) {
			fmt.Fprintf(w, "PIN: %s\nTPM: %s\n", console.PIN(p), canon.Escape(console.TPM(p.TPM)))
			if p.TPM.Hint != "" {
				fmt.Fprintf(w, "hint: %s\n", canon.Escape(p.TPM.Hint))
			}
		})
	})
}
