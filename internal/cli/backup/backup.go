// Package backup is the commands backup and restore: a copy of the home that
// opens nothing by itself, and the way back.
package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/archive"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// New returns the backup command.
func New(c *console.Console) *cobra.Command {
	var to string
	var force bool
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy the database and the drafts into one file",
		Long: `Copy the database and the drafts into one file, while the daemon works on.

The copy is checked before it is written and read back after. It holds no share:
whoever has it alone can open nothing in it.`,
		Example: "  thumbturn backup --to /mnt/usb",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Backup(cmd.Context(), c, to, force) },
	}
	cmd.Flags().StringVar(&to, "to", "", "the `PATH` of the file to write, or a folder for it")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "replace an existing file without asking")
	return cmd
}

// written is what backup prints.
type written struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	archive.Manifest
}

// Backup writes a backup to a file, or into a folder under a name that tells
// account and time.
func Backup(ctx context.Context, c *console.Console, to string, force bool) error {
	if to == "" {
		return console.Usage("name the file or folder with --to")
	}
	d, err := begin(c, to, force)
	if err != nil {
		return err
	}
	done, err := d.fill(ctx, func(written) error { return nil })
	if err != nil {
		return err
	}
	return c.Print(done, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n%s\n", canon.Escape(done.Path), describe(done.Manifest))
	})
}

// draft is the file of a backup, beside the place where it goes.
type draft struct {
	c     *console.Console
	to    string
	named bool // to is a folder
	force bool
	f     *os.File
}

// begin makes the file, so that a place which cannot be written is found out
// before anything happens for it.
func begin(c *console.Console, to string, force bool) (*draft, error) {
	d := &draft{c: c, to: to, force: force}
	if fi, err := os.Stat(to); err == nil && fi.IsDir() {
		d.named = true
	} else if d.force, err = c.MayWrite(to, force); err != nil {
		return nil, err
	}
	var err error
	d.f, err = os.CreateTemp(d.dir(), ".thumbturn-*") // 0600
	return d, console.Unwritten(to, err)
}

func (d *draft) dir() string {
	if d.named {
		return d.to
	}
	return filepath.Dir(d.to)
}

// drop removes the file.
func (d *draft) drop() {
	_ = d.f.Close()
	_ = os.Remove(d.f.Name())
}

// fill writes a backup that fits, and gives the file its name.
func (d *draft) fill(ctx context.Context, fits func(written) error) (written, error) {
	done := written{}
	err := d.c.Session(ctx, func(s *sdk.Client) error { return receive(ctx, s, d.f) })
	err = errors.Join(err, d.f.Close())
	if err == nil {
		done.Manifest, done.Size, err = look(d.f.Name())
	}
	if err == nil {
		err = fits(done)
	}
	if err == nil {
		if done.Path = d.to; d.named {
			done.Path = filepath.Join(d.to, "thumbturn-"+done.Account+"-"+time.UnixMilli(done.Time).UTC().Format("20060102T150405Z")+".tar")
			_, err = d.c.MayWrite(done.Path, d.force)
		}
	}
	if err == nil {
		err = console.Unwritten(done.Path, os.Rename(d.f.Name(), done.Path))
	}
	if err != nil {
		d.drop()
		return done, err
	}
	return done, console.Unwritten(done.Path, atomicfile.SyncDir(d.dir()))
}

// receive writes what the daemon sends, to the disk.
func receive(ctx context.Context, s *sdk.Client, f *os.File) error {
	w := bufio.NewWriterSize(f, 1<<20)
	err := s.Backup(ctx, func(c api.Chunk) error {
		_, err := w.Write(c.Bytes)
		return err
	})
	if err == nil {
		err = console.Unwritten(f.Name(), errors.Join(w.Flush(), f.Sync()))
	}
	return err
}

// look reads a backup to its end and checks every part against its manifest.
func look(path string) (archive.Manifest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return archive.Manifest{}, 0, fault.New(fault.Usage, "read backup", path, "no such file, or not readable")
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return archive.Manifest{}, 0, fault.New(fault.Usage, "read backup", path, "not a regular file")
	}
	m, err := archive.Read(bufio.NewReaderSize(f, 1<<20), nil)
	return m, fi.Size(), err
}

func describe(m archive.Manifest) string {
	test := ""
	if m.TestHome {
		test = " (a test home)"
	}
	return fmt.Sprintf("account %s%s, %d statements and %d events, of %s", canon.Escape(m.Account), test, m.Statements, m.Events,
		time.UnixMilli(m.Time).UTC().Format(time.RFC3339))
}
