// Package audit is the commands audit list, show, verify, export, anchor and
// proof: what was recorded, and whether it still stands.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Check names what an offline verification is given.
type Check struct {
	Proof  string // file with the proof of one receipt
	Export string // file with an export of a ledger
	Root   string // fingerprint of the root key, from a source the checker trusts; for Export
	Since  string // file with an earlier anchor; for Export
	Device string // public key of the device, from such a source; for Proof
	// Watch is given an export and its size, and reads it; nil reads unwatched.
	Watch func(io.Reader, int64) io.Reader
}

// Options is what the commands of this package take; each uses a part.
type Options struct {
	Console *console.Console
	Version string // X.Y.Z of this program
	// Offline verifies files without a daemon, and writes what it found.
	Offline func(context.Context, Check, io.Writer) error
}

// New returns the audit command with its subcommands.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Show and verify what was recorded", Args: cobra.NoArgs,
		Example: "  thumbturn audit list --since 24h\n  thumbturn audit verify"}
	cmd.AddCommand(newList(o), newShow(o), newVerify(o), newExport(o), newAnchor(o), newProof(o))
	return cmd
}

func newList(o Options) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events",
		Example: "  thumbturn audit list --since 24h\n" +
			"  thumbturn audit list --agent claude --outcome denied --format json\n" +
			"  thumbturn audit list --purpose OPS-4711",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := sel.at(o.Console.Now())
			if err != nil {
				return err
			}
			return List(cmd.Context(), o, f)
		},
	}
	sel.flags(cmd)
	cmd.Flags().Int64Var(&sel.filter.From, "from", 0, "start at event `N`")
	cmd.Flags().IntVar(&sel.filter.Limit, "limit", 0, "at most `N` events; 0 means all")
	return cmd
}

// moment reads a point in time, or how long ago it was, as unix milliseconds; 0
// for an empty text.
func moment(s string, now time.Time) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if d, err := console.Duration(s); err == nil && d > 0 {
		return now.Add(-d).UnixMilli(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, console.Usage("%q is no time; write 24h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z", s)
}

// eventJSON is an event as this program prints it.
type eventJSON struct {
	N     int64           `json:"n"`
	Leaf  string          `json:"leaf"`
	Event json.RawMessage `json:"event,omitempty"` // left out when it was erased
}

func shape(e api.Event) eventJSON {
	out := eventJSON{N: e.N, Leaf: e.Leaf}
	if json.Valid(e.Body) {
		out.Event = e.Body
	}
	return out
}

// List prints events as they arrive.
func List(ctx context.Context, o Options, f api.AuditFilter) error {
	list := console.Array{Out: o.Console.Out, Lines: true}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		err := s.Events(ctx, f, func(e api.Event) error {
			if !o.Console.JSON() {
				_, err := fmt.Fprintln(o.Console.Out, line(e))
				return err
			}
			return list.Add(shape(e))
		})
		if err != nil || !o.Console.JSON() {
			return err
		}
		return list.End()
	})
}

// line is one event in one line, for a person.
func line(e api.Event) string {
	var ev canon.Event
	if json.Unmarshal(e.Body, &ev) != nil {
		return fmt.Sprintf("%8d  (erased)", e.N)
	}
	words := []string{string(ev.Type), ev.Outcome, ev.Action, strings.TrimSpace(ev.Kind + " " + ev.Agent),
		strings.Join(ev.Refs, " "), ev.Request, ev.Reason}
	if ev.Grant != "" {
		words = append(words, "grant "+ev.Grant)
	}
	if ev.Lease != "" {
		words = append(words, "lease "+ev.Lease)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%8d  %s", e.N, time.UnixMilli(ev.Time).UTC().Format(time.RFC3339))
	for _, w := range words {
		if w != "" {
			b.WriteString("  " + canon.Escape(w))
		}
	}
	return b.String()
}

func newShow(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "show N",
		Short:   "Show one event in full",
		Example: "  thumbturn audit show 42",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := index(args[0])
			if err != nil {
				return err
			}
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				found := false
				err := s.Events(cmd.Context(), api.AuditFilter{From: n, Limit: 1}, func(e api.Event) error {
					if e.N != n {
						return nil
					}
					found = true
					return o.Console.PrintJSON(shape(e))
				})
				if err == nil && !found {
					err = fault.New(fault.NotFound, "audit show", args[0], "there is no such event")
				}
				return err
			})
		},
	}
}

func index(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, console.Usage("%q is not the number of an event", s)
	}
	return n, nil
}

func newVerify(o Options) *cobra.Command {
	var c Check
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nothing recorded was changed, moved or cut",
		Long: `Check the whole ledger of this home; or, without a daemon, a file: an export,
under the fingerprint of a root key that you know from elsewhere, or the proof of
one event, under a device key that an export you checked has shown. With --since
the export must continue an earlier anchor.`,
		Example: "  thumbturn audit verify\n" +
			"  thumbturn audit verify --export ledger.jsonl --root 3f9a… --since anchor.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return Verify(cmd.Context(), o, c) },
	}
	f := cmd.Flags()
	f.StringVar(&c.Proof, "proof", "", "verify the proof in `FILE`")
	f.StringVar(&c.Export, "export", "", "verify the export in `FILE`")
	f.StringVar(&c.Root, "root", "", "the root key's `FINGERPRINT`, 64 hexadecimal digits")
	f.StringVar(&c.Device, "device-key", "", "the device's public `KEY`, 64 hexadecimal digits, for a proof")
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
	if c.Proof == "" && c.Device != "" {
		return console.Usage("--device-key goes with --proof")
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
		return console.Usage("--root and --since go with --export")
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
