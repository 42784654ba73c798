package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
)

func newExport(o Options) *cobra.Command {
	var file string
	var force bool
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Write the ledger out, for others to verify",
		Example: "  thumbturn audit export -o ledger.jsonl",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Export(cmd.Context(), o, file, force) },
	}
	cmd.Flags().StringVarP(&file, "out-file", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "replace an existing file without asking")
	return cmd
}

// Export writes one JSON line after another. A file appears only once it is
// whole; it is held in memory until then.
func Export(ctx context.Context, o Options, file string, force bool) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		w := o.Console.Out
		var buf bytes.Buffer
		if file != "" {
			w = &buf
		}
		err := s.Export(ctx, func(l api.Line) error {
			_, err := fmt.Fprintf(w, "%s\n", bytes.TrimSuffix(l.Line, []byte("\n")))
			return err
		})
		if err != nil || file == "" {
			return err
		}
		return o.Console.WriteFile(file, buf.Bytes(), 0o600, force)
	})
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
				return o.Console.Print(map[string]string{"path": to}, func(w io.Writer) {
					fmt.Fprintln(w, canon.Escape(to))
				})
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
