package initialize

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

// NewRecovery returns the recovery command.
func NewRecovery(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{Use: "recovery", Short: "Replace the recovery code", Args: cobra.NoArgs, Example: "  thumbturn recovery rotate"}
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new recovery code; the old one stops working",
		Long: `Make a new recovery code, after the presence passphrase, and show it once. The old
code stops working at once; passphrases stay as they are.`,
		Example: "  thumbturn recovery rotate",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Rotate(cmd.Context(), o) },
	}
	rotate.Flags().StringVar(&o.Presence, "passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	rotate.Flags().StringVar(&o.Recovery, "recovery-file", "", "write the new recovery code to `FILE` (test homes only)")
	cmd.AddCommand(rotate)
	return cmd
}

// Rotate replaces the recovery code. Whether it may go to a file is asked before
// anything is replaced: a code that nobody saw would be lost.
func Rotate(ctx context.Context, o Options) error {
	o.TestHome = true // the daemon knows better; see below
	if err := o.check(); err != nil {
		return err
	}
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if o.Recovery != "" {
			st, err := s.Status(ctx)
			if err != nil {
				return err
			}
			if !st.TestHome {
				return console.Usage("a recovery code goes to a file in test homes only")
			}
		}
		p, auth, err := o.Console.Presence(ctx, s, o.Presence)
		if err != nil {
			return err
		}
		defer clear(p)
		code, err := s.Recovery(ctx, auth, p)
		return o.finish(code, err, "the recovery code is new; the old one is not taken any more")
	})
}
