// Package audit is the commands audit list, show, verify, export, anchor and
// proof: what was recorded, and whether it still stands.
package audit

import (
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
	"github.com/thumbturn/thumbturn/sdk"
)

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

func index(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, console.Usage("%q is not the number of an event", s)
	}
	return n, nil
}
