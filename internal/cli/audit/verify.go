package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Check names what an offline verification is given.
type Check struct {
	Proof     string    // file with the proof of one receipt
	Export    string    // file with an export of a ledger
	Ledger    io.Reader // an export that is being made, in place of a file
	Root      string    // fingerprint of the root key, from a source the checker trusts; for an export
	Since     string    // file with an earlier anchor; for an export
	Approvals bool      // check also what people approved; for an export
	JSON      bool      // write an export's report as JSON
	Device    string    // public key of the device, from such a source; for Proof
	// Watch is given an export and its size, and reads it; nil reads unwatched.
	Watch func(io.Reader, int64) io.Reader
}

func newVerify(o Options) *cobra.Command {
	var c Check
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nothing recorded was changed, moved or cut",
		Long: `Check the whole ledger of this home; or, without a daemon, a file: an export,
under the fingerprint of a root key that you know from elsewhere, or the proof of
one event, under a device key that an export you checked has shown. With --since
the export must continue an earlier anchor.

With --approvals the evidence of every approval is checked too: each signature of a
passkey, over exactly this request, against the passkeys that the ledger names. That
is done here, from an export, by code that shares nothing with the daemon's. Without
--root the ledger of this home vouches for its own root key. What a person typed, a
passphrase or a PIN, is the daemon's word, and counted apart.`,
		Example: "  thumbturn audit verify\n" +
			"  thumbturn audit verify --approvals --root 3f9a…\n" +
			"  thumbturn audit verify --export ledger.jsonl --root 3f9a… --since anchor.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return Verify(cmd.Context(), o, c) },
	}
	f := cmd.Flags()
	f.StringVar(&c.Proof, "proof", "", "verify the proof in `FILE`")
	f.StringVar(&c.Export, "export", "", "verify the export in `FILE`")
	f.StringVar(&c.Root, "root", "", "the root key's `FINGERPRINT`, 64 hexadecimal digits")
	f.StringVar(&c.Device, "device-key", "", "the device's public `KEY`, 64 hexadecimal digits, for a proof")
	f.BoolVar(&c.Approvals, "approvals", false, "check also the evidence of every approval")
	f.StringVar(&c.Since, "since", "", "an earlier anchor, in `FILE`")
	return cmd
}

// Verify checks the ledger of the home, or files.
func Verify(ctx context.Context, o Options, c Check) error {
	if c.Proof != "" && c.Export != "" {
		return console.Usage("verify either a --proof or an --export")
	}
	if c.Proof != "" && (c.Root != "" || c.Since != "") { // never passed over: it would seem to be checked
		return console.Usage("--root and --since go with --export: a proof names no root key, and is checked with --device-key")
	}
	if c.Proof != "" && c.Approvals {
		return console.Usage("--approvals goes with a whole ledger: who approved, its rosters tell")
	}
	if c.Proof == "" && c.Device != "" {
		return console.Usage("--device-key goes with --proof")
	}
	c.JSON = o.Console.JSON()
	if c.Approvals && c.Export == "" {
		return live(ctx, o, c)
	}
	if c.Proof != "" || c.Export != "" {
		if c.Root == "" && c.Proof == "" {
			return console.Usage("name the root key with --root; a file cannot vouch for itself")
		}
		p := new(console.Progress)
		c.Watch = func(r io.Reader, size int64) io.Reader {
			p = o.Console.Progress("verifying "+c.Export, size)
			return p.Reader(r)
		}
		var out bytes.Buffer // what was found is printed where the progress stood
		err := o.Offline(ctx, c, &out)
		p.Done()
		if _, e := out.WriteTo(o.Console.Out); err == nil {
			err = e
		}
		return err
	}
	if c.Root != "" || c.Since != "" {
		return console.Usage("--root and --since go with --export or --approvals")
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		var v api.Verified
		err := o.Console.Await("verifying", func() (err error) { v, err = s.Verify(ctx); return err })
		if err != nil {
			return err
		}
		err = o.Console.Print(v, func(w io.Writer) {
			fmt.Fprintf(w, "statements: %d\nevents:     %d\nrecords:    %d\nroot key:   %s\nhead:\n",
				v.Statements, v.Events, v.Blobs, canon.Escape(v.Root))
			for line := range strings.Lines(v.Head) {
				if line = strings.TrimSpace(line); line != "" {
					fmt.Fprintf(w, "  %s\n", canon.Escape(line))
				}
			}
			for _, p := range v.Problems {
				fmt.Fprintf(w, "PROBLEM: %s\n", canon.Escape(p))
			}
			if len(v.Problems) == 0 {
				fmt.Fprintln(w, "everything agrees")
			}
		})
		if err == nil && len(v.Problems) > 0 {
			err = fault.New(fault.Tampered, "audit verify", "", fmt.Sprintf("%d problems were found", len(v.Problems)))
		}
		return err
	})
}

// live verifies an export while the daemon makes it, without a file.
func live(ctx context.Context, o Options, c Check) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		r, w := io.Pipe()
		exported := make(chan error, 1)
		go func() {
			cut := false
			err := s.Export(ctx, func(l api.Line) error {
				_, err := fmt.Fprintf(w, "%s\n", bytes.TrimSuffix(l.Line, []byte("\n")))
				cut = err != nil
				return err
			})
			_ = w.CloseWithError(err)
			if cut { // the check wants no more, and says why
				err = nil
			}
			exported <- err
		}()
		c.Ledger = r
		var out bytes.Buffer // what was found is printed where the progress stood
		err := o.Console.Await("verifying", func() error { return o.Offline(ctx, c, &out) })
		_ = r.Close() // where it failed early, the export ends too
		if e := <-exported; e != nil {
			return e
		}
		if _, e := out.WriteTo(o.Console.Out); err == nil {
			err = e
		}
		return err
	})
}
