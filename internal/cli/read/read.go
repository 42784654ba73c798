// Package read is the read command: it shows a value to whoever asked, which is
// the grade of delivery that needs most leave.
package read

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what read takes.
type Options struct {
	Console   *console.Console
	Ask       api.Ask
	NoNewline bool
	File      string
	Mode      string // octal
	Force     bool
	Dir       func() (string, error) // the working directory
}

// New returns the read command.
func New(c *console.Console, dir func() (string, error)) *cobra.Command {
	o := Options{Console: c, Dir: dir}
	cmd := &cobra.Command{
		Use:   "read REF",
		Short: "Print the value of a secret reference",
		Long: `Print the value of a secret reference, or write it to a file. Agents are refused:
they use "thumbturn run" instead.

The value is printed as it is, also with --format json, which is for the path of
a file that was written, and for errors; "thumbturn item get --reveal" has JSON.`,
		Example: "  thumbturn read op://team/github/token\n  thumbturn read --out-file key.pem op://team/deploy/key",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return Read(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.NoNewline, "no-newline", "n", false, "do not print a newline after the value")
	f.StringVarP(&o.File, "out-file", "o", "", "write the value to `FILE` instead of printing it")
	f.StringVar(&o.Mode, "file-mode", "0600", "permissions of the file, an octal `MODE`")
	f.BoolVarP(&o.Force, "force", "f", false, "replace an existing file without asking")
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

// Read prints or writes one value.
func Read(ctx context.Context, o Options, ref string) error {
	mode, err := strconv.ParseUint(o.Mode, 8, 32)
	if err != nil || mode > 0o777 {
		return console.Usage("--file-mode wants octal permissions such as 0600")
	}
	if _, err := console.Ref("read", ref); err != nil {
		return err
	}
	if o.File != "" { // before a person is asked
		if o.Force, err = o.Console.MayWrite(o.File, o.Force); err != nil {
			return err
		}
	}
	dir, err := o.Dir()
	if err != nil {
		dir = ""
	}
	want := api.Want{Ask: o.Ask, Sink: "reveal", Refs: []string{ref},
		Program: api.Program{Argv: []string{"thumbturn", "read", ref}, Dir: dir}}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if o.File != "" {
			return o.toFile(ctx, s, want, fs.FileMode(mode))
		}
		err := o.release(ctx, s, want, func() (io.Writer, error) { return o.Console.Out, nil })
		if err != nil || o.NoNewline {
			return err
		}
		_, err = o.Console.Out.Write([]byte("\n"))
		return err
	})
}

// toFile writes the value to a file that appears once it is whole.
func (o Options) toFile(ctx context.Context, s *sdk.Client, want api.Want, mode fs.FileMode) error {
	var file *atomicfile.Pending
	err := o.release(ctx, s, want, func() (w io.Writer, err error) {
		file, err = o.Console.BeginFile(o.File, mode, o.Force)
		return file, err
	})
	if file != nil {
		defer file.Discard()
	}
	if err == nil {
		err = file.Commit()
	}
	if _, ok := errors.AsType[*atomicfile.Error](err); ok {
		err = console.Unwritten(o.File, err)
	}
	if err != nil {
		return err
	}
	return o.Console.Print(map[string]string{"path": o.File}, func(w io.Writer) { fmt.Fprintln(w, canon.Escape(o.File)) })
}

// release asks for the value and writes it to what to opens, telling how far it
// has come.
func (o Options) release(ctx context.Context, s *sdk.Client, want api.Want, to func() (io.Writer, error)) error {
	progress := &console.Progress{} // shows nothing
	_, err := s.ReleaseTo(ctx, want, func(size int64) (io.Writer, error) {
		w, err := to()
		if o.File != "" || !o.Console.OutIsTerminal { // else it would stand in the middle of the value
			progress = o.Console.Progress("reading", size)
		}
		return progress.Writer(w), err
	}, o.Console.Waiting)
	progress.Done()
	return o.Console.Parked(err)
}
