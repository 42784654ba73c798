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

// NewRestore returns the restore command.
func NewRestore(c *console.Console) *cobra.Command {
	var from, file string
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Put a backup back, or accept a database that is older than the last one seen",
		Long: `With --from, put a backup back: into a home whose database is gone, or over one
that is older than the backup. It takes the device that made the backup and the
presence passphrase, and is recorded.

Without it, accept the database as it is: after a rollback was detected the
daemon refuses all work. If you put an older database there yourself, accept it
with the presence passphrase; that is recorded. If you did not, somebody else
did: do not.`,
		Example: "  thumbturn restore --from /mnt/usb/thumbturn.tar\n  thumbturn restore",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from != "" {
				return Restore(cmd.Context(), c, from, file)
			}
			return Accept(cmd.Context(), c, file)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "put back the backup in `FILE`")
	cmd.Flags().StringVar(&file, "passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	return cmd
}

// Restore puts a backup back.
func Restore(ctx context.Context, c *console.Console, from, file string) error {
	c.WarnHome()
	m, size, err := look(from)
	if err != nil {
		return err
	}
	if size > api.MaxStreams*api.MaxStream {
		return fault.New(fault.Usage, "restore", from, "the backup is larger than the daemon accepts")
	}
	if err := c.Confirm("the backup is of " + describe(m) + "\nput it in the place of this home's database?"); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return fault.New(fault.Usage, "restore", from, "no such file, or not readable")
	}
	defer f.Close()
	return c.Session(ctx, func(s *sdk.Client) error {
		p, auth, err := c.Passphrase("presence passphrase: ", file)
		if err != nil {
			return err
		}
		defer clear(p)
		progress := c.Progress("restoring", size)
		defer progress.Done()
		r, err := s.PutBack(ctx, auth, p, size, progress.Reader(f))
		if err != nil {
			return err
		}
		progress.Done()
		return tell(c, r)
	})
}

func tell(c *console.Console, r api.Restored) error {
	return c.Print(r, func(w io.Writer) {
		fmt.Fprintf(w, "restored\nfrom: %s\nto:   %s\n", canon.Escape(r.From), canon.Escape(r.To))
	})
}

// Accept takes the present database for good.
func Accept(ctx context.Context, c *console.Console, file string) error {
	c.WarnHome()
	if err := c.Confirm("did you put this older database back yourself?"); err != nil {
		return err
	}
	return c.Session(ctx, func(s *sdk.Client) error {
		p, auth, err := c.Passphrase("presence passphrase: ", file)
		if err != nil {
			return err
		}
		defer clear(p)
		r, err := s.Restore(ctx, auth, p)
		if err != nil {
			return err
		}
		return tell(c, r)
	})
}
