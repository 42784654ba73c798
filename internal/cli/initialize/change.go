package initialize

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

// ChangeOptions is what passphrase change takes.
type ChangeOptions struct {
	Console  *console.Console
	Rand     io.Reader
	Which    bool   // the presence passphrase, not the unlock passphrase
	Old      string // file with the present unlock passphrase
	Presence string // file with the presence passphrase
	New      string // file with the new passphrase
}

// NewPassphrase returns the passphrase command.
func NewPassphrase(c *console.Console, rand io.Reader) *cobra.Command {
	o := ChangeOptions{Console: c, Rand: rand}
	cmd := &cobra.Command{Use: "passphrase", Short: "Change a passphrase", Args: cobra.NoArgs,
		Example: "  thumbturn passphrase change\n  thumbturn passphrase change --presence"}
	change := &cobra.Command{
		Use:     "change",
		Short:   "Change the unlock passphrase, or with --presence the presence passphrase",
		Example: "  thumbturn passphrase change\n  thumbturn passphrase change --presence",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Change(cmd.Context(), o) },
	}
	f := change.Flags()
	f.BoolVar(&o.Which, "presence", false, "change the presence passphrase")
	f.StringVar(&o.Old, "passphrase-file", "", "read the present unlock passphrase from `FILE` (test homes only)")
	f.StringVar(&o.Presence, "presence-passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	f.StringVar(&o.New, "new-passphrase-file", "", "read the new passphrase from `FILE` (test homes only)")
	cmd.AddCommand(change)
	return cmd
}

// Change replaces one passphrase. The presence passphrase is always asked for,
// since it signs the change.
func Change(ctx context.Context, o ChangeOptions) error {
	in := api.Passphrase{Which: "unlock", Auth: api.Auth{Source: console.FromTerminal}}
	if o.Old != "" || o.Presence != "" || o.New != "" {
		in.Source = console.FromFile
	}
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		presence, auth, err := o.Console.Presence(ctx, s, o.Presence)
		if err != nil {
			return err
		}
		defer clear(presence)
		in.Kind = auth.Kind
		old := presence
		if o.Which {
			in.Which = "presence"
		} else {
			if old, _, err = o.Console.Passphrase("present unlock passphrase: ", o.Old); err != nil {
				return err
			}
			defer clear(old)
		}
		fresh, err := choose(effects{o.Console, o.Rand}, in.Which, o.New, presence, old)
		if err != nil {
			return err
		}
		defer clear(fresh)
		if err := s.Passphrase(ctx, in, presence, old, fresh); err != nil {
			return err
		}
		return o.Console.Print(map[string]string{"changed": in.Which}, func(w io.Writer) {
			io.WriteString(w, "the "+in.Which+" passphrase is changed\n")
		})
	})
}
