package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

func newShow(o Options) *cobra.Command {
	return &cobra.Command{
		Use:   "show N|ID",
		Short: "Show one event in full, or all events of a request",
		Long: `Show one event in full, or all events of a request: what the person was shown, who
approved it and how, and the event as it was recorded. It tells what the ledger
says; "audit verify --approvals" checks it.`,
		Example: "  thumbturn audit show 42\n  thumbturn audit show 5k3d… --format json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error { return Show(cmd.Context(), o, s, args[0]) })
		},
	}
}

// told is an event with what a person saw of it.
type told struct {
	eventJSON
	Shown    []lineJSON `json:"shown,omitempty"`
	Code     string     `json:"code,omitempty"`
	Approval *approval  `json:"approval,omitempty"`
}

type lineJSON struct {
	Group string `json:"group"` // who vouches for it
	Label string `json:"label"`
	Text  string `json:"text"`
}

// approval is who approved, and with what.
type approval struct {
	Tier    string       `json:"tier"`
	Source  string       `json:"source"`
	Time    int64        `json:"time"` // unix milliseconds
	Passkey *passkey     `json:"passkey,omitempty"`
	Answers int          `json:"answers,omitempty"` // requests under the one signature
	Lease   *canon.Terms `json:"lease,omitempty"`
}

// passkey is one of the roster. Without a name no roster names it.
type passkey struct {
	ID         string      `json:"id,omitempty"`
	Name       string      `json:"name,omitempty"`
	Credential canon.Bytes `json:"credential"`
}

// evidence is what the ledger keeps of a gesture (spec/request.md).
type evidence struct {
	Tier      string           `json:"tier"`
	Source    string           `json:"source"`
	Time      int64            `json:"time"`
	Lease     *canon.Terms     `json:"lease"`
	Assertion *canon.Assertion `json:"assertion"`
}

// Show prints the event with a number, or the events of the request with an id.
func Show(ctx context.Context, o Options, s *sdk.Client, which string) error {
	filter, picks := api.AuditFilter{}, func(e api.Event) bool { return requestOf(e) == which }
	if !canon.IsID(which) {
		n, err := index(which)
		if err != nil {
			return err
		}
		filter, picks = api.AuditFilter{From: n, Limit: 1}, func(e api.Event) bool { return e.N == n }
	}
	var all []told
	err := s.Events(ctx, filter, func(e api.Event) error {
		if picks(e) {
			all = append(all, explain(e))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fault.New(fault.NotFound, "audit show", which, "there is no such event")
	}
	if err := name(ctx, s, all); err != nil {
		return err
	}
	if o.Console.JSON() {
		if len(all) == 1 {
			return o.Console.PrintJSON(all[0])
		}
		return o.Console.PrintJSON(all)
	}
	for _, e := range all {
		e.print(o.Console.Out)
		if err := o.Console.PrintJSON(e.eventJSON); err != nil {
			return err
		}
	}
	return nil
}

func requestOf(e api.Event) string {
	var ev canon.Event
	_ = json.Unmarshal(e.Body, &ev) // of an erased one there is none
	return ev.Request
}

// explain reads what an event says of a request and of its approval.
func explain(e api.Event) told {
	out := told{eventJSON: shape(e)}
	var ev canon.Event
	if json.Unmarshal(e.Body, &ev) != nil {
		return out
	}
	var proof evidence
	if ev.Proof != nil && json.Unmarshal(ev.Proof, &proof) == nil {
		out.Approval = &approval{Tier: proof.Tier, Source: proof.Source, Time: proof.Time, Lease: proof.Lease}
		if a := proof.Assertion; a != nil {
			out.Approval.Passkey = &passkey{Credential: a.Credential}
			var answer canon.Answer
			if canon.Decode(a.Answer, &answer) == nil {
				out.Approval.Answers = len(answer.Requests)
			}
		}
	}
	var r canon.Request
	if canon.Decode(ev.Raw, &r) != nil {
		return out
	}
	out.Code = canon.ShortCode(canon.RequestDigest(ev.Raw))
	lines := canon.Lines(r)
	if l := proof.Lease; l != nil { // it was shown behind what else is enforced
		end := max(0, slices.IndexFunc(lines, func(l canon.Line) bool { return l.Group != canon.Enforced }))
		lines = slices.Insert(lines, end, canon.LeaseLines(time.UnixMilli(l.Until), l.Uses)...)
	}
	for _, l := range lines {
		out.Shown = append(out.Shown, lineJSON{string(l.Group), l.Label, l.Text})
	}
	return out
}

// errEnough ends an export where its statements end.
var errEnough = errors.New("the statements are read")

// name finds the names of the passkeys in the rosters of the ledger; the last name
// counts.
func name(ctx context.Context, s *sdk.Client, all []told) error {
	if !slices.ContainsFunc(all, func(e told) bool { return e.Approval != nil && e.Approval.Passkey != nil }) {
		return nil
	}
	named, enough := map[string]canon.Authenticator{}, false
	err := s.Export(ctx, func(l api.Line) error {
		var line struct {
			Statement *int64      `json:"statement"`
			Event     *int64      `json:"event"`
			Body      canon.Bytes `json:"body"`
		}
		if err := json.Unmarshal(l.Line, &line); err != nil {
			return err
		}
		if enough = line.Event != nil; enough {
			return errEnough
		}
		st, err := canon.ParseStatement(line.Body)
		if line.Statement == nil || err != nil || st.Type != canon.TypeRoster {
			return nil
		}
		var r canon.Roster
		if err := canon.Decode(st.Payload, &r); err != nil {
			return fault.Wrap(fault.Tampered, "audit show", "roster", err)
		}
		for _, a := range r.Authenticators {
			named[string(a.Credential)] = a
		}
		return nil
	})
	if err != nil && !enough { // the error that ends it does not come back as it was
		return err
	}
	for _, e := range all {
		if e.Approval != nil && e.Approval.Passkey != nil {
			p := e.Approval.Passkey
			p.ID, p.Name = named[string(p.Credential)].ID, named[string(p.Credential)].Name
		}
	}
	return nil
}

// print writes for a person what the event says; nothing for most events.
func (e told) print(w io.Writer) {
	group := ""
	for _, l := range e.Shown {
		if l.Group != group {
			group = l.Group
			fmt.Fprintf(w, "%s\n", group)
		}
		put(w, l.Label, l.Text)
	}
	if e.Code != "" {
		fmt.Fprintf(w, "code: %s\n", e.Code)
	}
	if a := e.Approval; a != nil {
		fmt.Fprintln(w, "approved")
		put(w, "with", a.with())
		put(w, "at", canon.Escape(a.Source)+", "+time.UnixMilli(a.Time).UTC().Format(time.RFC3339))
		if a.Answers > 1 {
			put(w, "signature", fmt.Sprintf("one over %d requests", a.Answers))
		}
	}
}

func put(w io.Writer, label, text string) { fmt.Fprintf(w, "  %-12s %s\n", label+":", text) }

// with says what a person approved with.
func (a approval) with() string {
	tier := "  (tier " + canon.Escape(a.Tier) + ")"
	switch {
	case a.Passkey == nil:
		return "the daemon's word for a gesture; no evidence that others can check" + tier
	case a.Passkey.ID == "":
		return "A PASSKEY THAT NO ROSTER NAMES" + tier
	}
	return "passkey " + canon.Escape(a.Passkey.Name) + ", id " + canon.Escape(a.Passkey.ID) + tier
}
