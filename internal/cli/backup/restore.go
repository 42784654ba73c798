package backup

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
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
presence passphrase, and is recorded. On a new computer, where that device is lost,
thumbturn recover --from does it with the recovery code.

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
	f, err := Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Moved() {
		return fault.New(fault.Usage, "restore", from, "this vault was moved to another computer").WithHint("there: thumbturn device accept FILE")
	}
	if err := c.Confirm("the backup is of " + describe(f.Manifest) + "\nput it in the place of this home's database?"); err != nil {
		return err
	}
	return c.Session(ctx, func(s *sdk.Client) error {
		p, auth, err := c.Presence(ctx, s, file)
		if err != nil {
			return err
		}
		defer clear(p)
		progress := c.Progress("restoring", f.Size)
		defer progress.Done()
		r, err := s.PutBack(ctx, auth, p, f.Size, progress.Reader(f))
		if err != nil {
			return err
		}
		progress.Done()
		return tell(c, r)
	})
}

// File is a backup whose every part agrees with its manifest, open to be sent.
type File struct {
	*os.File
	Size int64
	archive.Manifest
}

// Open reads a backup to its end, checks it, and opens it.
func Open(path string) (*File, error) {
	m, size, err := look(path)
	if err != nil {
		return nil, err
	}
	if size > api.MaxStreams*api.MaxStream {
		return nil, fault.New(fault.Usage, "restore", path, "the backup is larger than the daemon accepts")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Usage, "restore", path, "no such file, or not readable")
	}
	return &File{f, size, m}, nil
}

func tell(c *console.Console, r api.Restored) error {
	return c.Print(r, func(w io.Writer) {
		fmt.Fprintf(w, "restored\nfrom: %s\nto:   %s\n", canon.Escape(r.From), canon.Escape(r.To))
	})
}

// Accept takes the present database for good, where it is not the one that this
// device has seen.
func Accept(ctx context.Context, c *console.Console, file string) error {
	c.WarnHome()
	return c.Session(ctx, func(s *sdk.Client) error {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		if st.State != api.StateHeld {
			return c.Print(map[string]string{"state": st.State}, func(w io.Writer) {
				fmt.Fprintln(w, "nothing was rolled back, so there is nothing to accept; a backup is put back with --from")
			})
		}
		c.Say("held: %s", canon.Escape(st.Held))
		if err := c.Confirm("did you put this older database back yourself?"); err != nil {
			return err
		}
		p, auth, err := c.Presence(ctx, s, file)
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
