package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

// keep is how export is asked to write.
type keep struct {
	file   string
	force  bool
	format string
}

func newExport(o Options) *cobra.Command {
	var k keep
	var sel selection
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the ledger out, for others to verify or to collect",
		Long: `Write the ledger out. Format json, the default, is the whole ledger as lines that
"audit verify --export" checks without this computer. With --out-file the path is
printed, as JSON where --format json is given.

Formats csv and cef are for log collectors: one line for each event, without the
statements, signatures and salts. They carry no proof; nobody can tell whether
such a file was changed. Filters select events there, and only there: a selection
of the ledger proves nothing. In csv, a cell that a spreadsheet would compute has
a ' in front; references are separated by semicolons.`,
		Example: "  thumbturn audit export -o ledger.jsonl\n" +
			"  thumbturn audit export --format cef --since 24h | logger\n" +
			"  thumbturn audit export --format csv --outcome denied -o denied.csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := sel.at(o.Console.Now())
			if err != nil {
				return err
			}
			return Export(cmd.Context(), o, k, f)
		},
	}
	fl := cmd.Flags()
	// It stands before the global flag of that name.
	fl.StringVar(&k.format, "format", "json", "write `FORMAT`: json, which can be verified, csv or cef")
	fl.StringVarP(&k.file, "out-file", "o", "", "write to `FILE` instead of standard output")
	fl.BoolVarP(&k.force, "force", "f", false, "replace an existing file without asking")
	sel.flags(cmd)
	choices(cmd, "format", "json", "csv", "cef")
	return cmd
}

// Export writes one line after another. A file appears only once it is whole;
// it is held in memory until then.
func Export(ctx context.Context, o Options, k keep, f api.AuditFilter) error {
	switch {
	case k.format != "json" && k.format != "csv" && k.format != "cef":
		return console.Usage("unknown format %q; use json, csv or cef", k.format)
	case k.format == "json" && f != api.AuditFilter{}:
		return console.Usage("a selection of the ledger proves nothing").WithHint("leave the filters out, or add --format csv or cef")
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		w := o.Console.Out
		var buf bytes.Buffer
		if k.file != "" {
			w = &buf
		}
		p := o.progress(ctx, s, k, f)
		defer p.Done()
		err := k.lines(ctx, o, s, f, w, p)
		p.Done()
		if err != nil || k.file == "" {
			return err
		}
		if err := o.Console.WriteFile(k.file, buf.Bytes(), 0o600, k.force); err != nil {
			return err
		}
		return o.wrote(k.file)
	})
}

// wrote tells which file was written.
func (o Options) wrote(path string) error {
	return o.Console.Print(map[string]string{"path": path}, func(w io.Writer) { fmt.Fprintln(w, canon.Escape(path)) })
}

// progress counts what is exported, where that does not stand on the screen
// already and somebody looks.
func (o Options) progress(ctx context.Context, s *sdk.Client, k keep, f api.AuditFilter) *console.Progress {
	if k.file == "" && o.Console.OutIsTerminal {
		return new(console.Progress)
	}
	total := int64(0)
	if o.Console.ErrIsTerminal && f == (api.AuditFilter{}) {
		if st, err := s.Status(ctx); err == nil {
			total = st.Events
			if k.format == "json" {
				total += st.Statements + 1
			}
		}
	}
	return o.Console.Progress("exporting", total)
}

func (k keep) lines(ctx context.Context, o Options, s *sdk.Client, f api.AuditFilter, w io.Writer, p *console.Progress) error {
	if k.format == "json" {
		return s.Export(ctx, func(l api.Line) error {
			p.Step(1)
			_, err := fmt.Fprintf(w, "%s\n", bytes.TrimSuffix(l.Line, []byte("\n")))
			return err
		})
	}
	out := siem(cefWriter{w, o.Version})
	if k.format == "csv" {
		var err error
		if out, err = newCSV(w); err != nil {
			return err
		}
	}
	err := s.Events(ctx, f, func(e api.Event) error {
		p.Step(1)
		return out.event(e)
	})
	return errors.Join(err, out.end())
}

func newAnchor(o Options) *cobra.Command {
	var to string
	var force bool
	cmd := &cobra.Command{
		Use:   "anchor",
		Short: "Write the signed head to a place that this computer cannot change back",
		Long: `Write the signed head of the ledger to a file. Keep it where this computer cannot
change it back, such as another machine or a repository: later, "audit verify
--since" shows whether the ledger still continues it.`,
		Example: "  thumbturn audit anchor --to /mnt/usb/thumbturn.anchor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return console.Usage("name the file with --to")
			}
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				a, err := s.Anchor(cmd.Context())
				if err != nil {
					return err
				}
				if err := o.Console.WriteFile(to, []byte(a.Head), 0o644, force); err != nil {
					return err
				}
				return o.wrote(to)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the `PATH` of the file to write")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "replace an existing file without asking")
	return cmd
}

func newProof(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "proof N",
		Short:   "Print the proof of one receipt, to be verified by anybody",
		Example: "  thumbturn audit proof 42 > receipt.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := index(args[0])
			if err != nil {
				return err
			}
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				p, err := s.Proof(cmd.Context(), api.AuditProof{Receipt: n})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(o.Console.Out, "%s\n", bytes.TrimSuffix(p.Line, []byte("\n")))
				return err
			})
		},
	}
}
