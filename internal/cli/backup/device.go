package backup

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// NewDevice returns the device command.
func NewDevice(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "Show this computer's device, or move the vault to another computer",
		Long: `A vault's ledger is written by one device at a time. To move it:

  1. on the new computer, in a home without an account:  thumbturn device show --out new.json
  2. on this one, with new.json at hand:                 thumbturn device move --to new.json --out vault.tar
  3. on the new computer, with vault.tar:                thumbturn device accept vault.tar

Neither file is secret; compare the code that both computers show. Passphrases and
recovery code stay what they are. Where this computer is lost, see
thumbturn recover --from.`,
		Example: "  thumbturn device show\n  thumbturn device move --to new.json --out vault.tar\n  thumbturn device accept vault.tar",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(newShow(c), newMove(c), newAccept(c))
	return cmd
}

func newShow(c *console.Console) *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show this device and its code, or write what a vault is moved to",
		Example: "  thumbturn device show\n  thumbturn device show --out new.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Show(cmd.Context(), c, out, force) },
	}
	cmd.Flags().StringVar(&out, "out", "", "write the public half of this device to `FILE`")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "replace an existing file without asking")
	return cmd
}

// shown is what device show prints.
type shown struct {
	Device string `json:"device"`
	Code   string `json:"code"`
	State  string `json:"state"`
	Path   string `json:"path,omitempty"`
}

// Show tells who this device is.
func Show(ctx context.Context, c *console.Console, out string, force bool) error {
	return c.Session(ctx, func(s *sdk.Client) error {
		d, err := s.Installation(ctx)
		if err != nil {
			return err
		}
		pub := canon.Installation{V: 1, ID: d.ID, DeviceKey: d.DeviceKey, DeviceKEM: d.DeviceKEM}
		if err := pub.Check(); err != nil {
			return fault.New(fault.Protocol, "device show", "", "the daemon's answer is malformed")
		}
		if out != "" {
			if err := c.WriteFile(out, pub.File(), 0o644, force); err != nil {
				return err
			}
		}
		return c.Print(shown{d.ID, pub.Code(), s.Hello().State, out}, func(w io.Writer) {
			fmt.Fprintf(w, "device: %s\ncode:   %s\n", pub.ID, pub.Code())
			if out != "" {
				fmt.Fprintf(w, "file:   %s\n", canon.Escape(out))
			}
		})
	})
}

// moveOptions is what device move takes.
type moveOptions struct {
	to, out, file        string
	force, again, cancel bool
}

func newMove(c *console.Console) *cobra.Command {
	var o moveOptions
	cmd := &cobra.Command{
		Use:   "move",
		Short: "Move the vault to another computer",
		Long: `Move the vault to another computer, by the presence passphrase.

It writes one file, which only that computer can accept. From then on this one is
held: it verifies, exports and writes the file --again, and nothing else, until
the move is taken back with --cancel.

Take it back only where the other computer has not accepted: else there are two
vaults that each take themselves for the one.`,
		Example: "  thumbturn device move --to new.json --out vault.tar\n  thumbturn device move --again --out vault.tar\n  thumbturn device move --cancel",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Move(cmd.Context(), c, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "the `FILE` that `device show --out` wrote on the other computer")
	f.StringVar(&o.out, "out", "", "the `FILE` to write for the other computer")
	f.BoolVarP(&o.force, "force", "f", false, "replace an existing file without asking")
	f.BoolVar(&o.again, "again", false, "write the file of a move once more")
	f.BoolVar(&o.cancel, "cancel", false, "take a move back")
	f.StringVar(&o.file, "passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	cmd.MarkFlagsMutuallyExclusive("to", "again", "cancel")
	cmd.MarkFlagsOneRequired("to", "again", "cancel")
	cmd.MarkFlagsMutuallyExclusive("out", "cancel")
	return cmd
}

// Move gives the vault to another device, or writes again what that one accepts,
// or takes it back.
func Move(ctx context.Context, c *console.Console, o moveOptions) error {
	c.WarnHome()
	if o.cancel {
		return stay(ctx, c, o.file)
	}
	if o.out == "" {
		return console.Usage("name the file to write with --out")
	}
	if o.again {
		d, err := begin(c, o.out, o.force)
		if err != nil {
			return err
		}
		return carry(ctx, c, d)
	}
	return depart(ctx, c, o)
}

func depart(ctx context.Context, c *console.Console, o moveOptions) error {
	to, err := installation(o.to)
	if err != nil {
		return err
	}
	d, err := begin(c, o.out, o.force)
	if err != nil {
		return err
	}
	question := "The vault moves to device " + to.ID + "\n\n    code " + to.Code() +
		"\n\nDoes `thumbturn device show` on the other computer show that code? This one will be held from now on.\nMove it?"
	if err = c.Confirm(question); err == nil {
		err = c.Session(ctx, func(s *sdk.Client) error {
			p, auth, err := c.Presence(ctx, s, o.file)
			if err != nil {
				return err
			}
			defer clear(p)
			return s.DeviceMove(ctx, api.DeviceMove{Auth: auth,
				To: api.Installation{ID: to.ID, DeviceKey: to.DeviceKey, DeviceKEM: to.DeviceKEM}}, p)
		})
	}
	if err != nil {
		d.drop()
		return err
	}
	if err := carry(ctx, c, d); err != nil {
		c.Say("the vault has moved, but the file is not written; when that is mended: thumbturn device move --again --out FILE")
		return err
	}
	return nil
}

// installation reads the public half of a device.
func installation(path string) (canon.Installation, error) {
	const limit = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return canon.Installation{}, fault.New(fault.Usage, "device move", path, "no such file, or not readable")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return canon.Installation{}, fault.Wrap(fault.Unavailable, "device move", path, err)
	}
	d, err := canon.ParseInstallation(b)
	if err != nil {
		return d, fault.New(fault.Usage, "device move", path, "not the public half of a device").
			WithHint("`thumbturn device show --out FILE` on the other computer writes it")
	}
	return d, nil
}

// carry writes the file that the other device accepts.
func carry(ctx context.Context, c *console.Console, d *draft) error {
	done, err := d.fill(ctx, func(w written) error {
		if !w.Moved() {
			return fault.New(fault.Usage, "device move", "", "this vault has not moved").WithHint("name the other computer with --to")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.Print(done, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n%s\n\non the other computer: thumbturn device accept FILE\nthere `thumbturn unlock` takes the passphrases you have; when it does, this home may go: thumbturn uninstall --plan\n",
			canon.Escape(done.Path), describe(done.Manifest))
	})
}

// stay takes a move back.
func stay(ctx context.Context, c *console.Console, file string) error {
	if err := c.Confirm("Has the other computer NOT accepted the vault, and will it never? Two vaults would each take themselves for the one.\nTake the move back?"); err != nil {
		return err
	}
	return c.Session(ctx, func(s *sdk.Client) error {
		p, auth, err := c.Presence(ctx, s, file)
		if err != nil {
			return err
		}
		defer clear(p)
		if err := s.DeviceStay(ctx, auth, p); err != nil {
			return err
		}
		return c.Print(map[string]bool{"cancelled": true}, func(w io.Writer) { io.WriteString(w, "the vault is here again; unlock it with: thumbturn unlock\n") })
	})
}

func newAccept(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use:     "accept FILE",
		Short:   "Take in the vault that another computer moved to this one",
		Example: "  thumbturn device accept vault.tar",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return Accepted(cmd.Context(), c, args[0]) },
	}
}

// Accepted makes what another device moved here this home's vault.
func Accepted(ctx context.Context, c *console.Console, from string) error {
	c.WarnHome()
	f, err := Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if !f.Moved() {
		return fault.New(fault.Usage, "device accept", from, "this is a plain backup, and was moved to no device").
			WithHint("where its device is: thumbturn restore --from FILE; where that is lost: thumbturn recover --from FILE")
	}
	if err := c.Confirm("the vault is of " + describe(f.Manifest) + "\ntake it in?"); err != nil {
		return err
	}
	return c.Session(ctx, func(s *sdk.Client) error {
		auth := api.Auth{Source: console.FromTerminal}
		if f.TestHome {
			auth.Source = console.FromFile
		}
		progress := c.Progress("taking in", f.Size)
		defer progress.Done()
		r, err := s.DeviceAccept(ctx, auth, f.Size, progress.Reader(f))
		if err != nil {
			return err
		}
		progress.Done()
		return c.Print(r, func(w io.Writer) {
			fmt.Fprintf(w, "the vault is here\nfrom: %s\nto:   %s\nunlock it with the passphrases it had: thumbturn unlock\n", canon.Escape(r.From), canon.Escape(r.To))
		})
	})
}
