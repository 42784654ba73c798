// Package read is the read command: it shows a value to whoever asked, which is
// the grade of delivery that needs most leave.
package read

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
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
		_, values, err := s.Release(ctx, want, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		defer sdk.Wipe(values...)
		if o.File != "" {
			if err := o.Console.WriteFile(o.File, values[0], fs.FileMode(mode), o.Force); err != nil {
				return err
			}
			return o.Console.Print(map[string]string{"path": o.File}, func(w io.Writer) { fmt.Fprintln(w, canon.Escape(o.File)) })
		}
		if _, err := o.Console.Out.Write(values[0]); err != nil || o.NoNewline {
			return err
		}
		_, err = o.Console.Out.Write([]byte("\n"))
		return err
	})
}
