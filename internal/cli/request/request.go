// Package request is the commands requests, approve and deny: what a person
// does with the requests that wait.
package request

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what the commands of this package take.
type Options struct {
	Console *console.Console
	All     bool   // requests
	Search  string // requests
	File    string // approve: the presence passphrase
	PIN     string // approve: the PIN, in a file
	Page    bool   // approve
	Lease   time.Duration
	Uses    int
	Mute    time.Duration // deny
	Unmute  string        // requests
	Watch   bool
	Every   time.Duration // between two looks of a watch
}

// NewList returns the requests command.
func NewList(c *console.Console) *cobra.Command {
	o := Options{Console: c, Every: time.Second}
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "List the requests that wait for a person",
		Long: `List the requests that wait for a person, and the leases that live: what each is
for, for how long, and how many uses are left; and the sessions that may not ask
for now. "thumbturn deny" refuses a request and ends a lease; --unmute lets a
muted session ask again.

--watch goes on until Ctrl-C and prints a line, of JSON with --format json, for
each that is new, answered, expired or ended.`,
		Example: "  thumbturn requests\n  thumbturn requests --all --search stripe\n  thumbturn requests --all --format json\n  thumbturn requests --unmute 5k3d…",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Unmute != "" {
				return o.unmute(cmd.Context())
			}
			if o.Watch {
				return Watch(cmd.Context(), o)
			}
			return List(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Watch, "watch", false, "go on and tell what changes, until Ctrl-C")
	cmd.Flags().StringVar(&o.Unmute, "unmute", "", "let the session that was muted with request `ID` ask again")
	cmd.Flags().BoolVar(&o.All, "all", false, "also those that were answered or ran out")
	cmd.Flags().StringVar(&o.Search, "search", "", "only those in which `TEXT` stands")
	cmd.MarkFlagsMutuallyExclusive("search", "watch")
	cmd.MarkFlagsMutuallyExclusive("unmute", "watch")
	cmd.MarkFlagsMutuallyExclusive("unmute", "all")
	return cmd
}

func (o Options) unmute(ctx context.Context) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if err := s.Unmute(ctx, o.Unmute); err != nil {
			return err
		}
		return answered(o.Console, o.Unmute, "unmuted")
	})
}

// List prints requests.
func List(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		ps, err := s.Requests(ctx, api.RequestList{All: o.All})
		if err != nil {
			return err
		}
		ps = slices.DeleteFunc(ps, func(p api.Pending) bool { return !found(p, o.Search) })
		if ps == nil {
			ps = []api.Pending{}
		}
		return o.Console.Print(ps, func(w io.Writer) {
			if len(ps) == 0 {
				fmt.Fprintln(w, "no requests")
			}
			for _, p := range ps {
				fmt.Fprintln(w, line(p))
			}
		})
	})
}

// found reports whether a text stands in what a list shows of a request, case aside.
func found(p api.Pending, text string) bool {
	return strings.Contains(strings.ToLower(strings.Join(append([]string{p.ID, p.Code, p.State, p.Action, p.Caller, p.Label}, p.Refs...), " ")), strings.ToLower(text))
}

// line is a request, a lease or a mute on one line.
func line(p api.Pending) string {
	s := fmt.Sprintf("%s  %s  %-8s  until %s  %s by %s  %s", canon.Escape(p.ID), canon.Escape(p.Code),
		canon.Escape(p.State), time.UnixMilli(p.Expires).UTC().Format(time.RFC3339), canon.Escape(p.Action),
		canon.Escape(strings.TrimSpace(p.Caller+" "+p.Label)), canon.Escape(strings.Join(p.Refs, " ")))
	switch {
	case p.State == "leased" && p.Left > 0:
		s += fmt.Sprintf("  %d uses left", p.Left)
	case p.State == "muted":
		s += fmt.Sprintf("  %d refused since", p.Refused)
	case p.State != "leased":
		return s
	}
	return s + "  session " + canon.Escape(p.Root)
}

// NewApprove returns the approve command.
func NewApprove(c *console.Console) *cobra.Command {
	o := Options{Console: c, Every: 300 * time.Millisecond}
	cmd := &cobra.Command{
		Use:   "approve [ID]...",
		Short: "Read a request and approve it, at the terminal or on the page",
		Long: `Show exactly what a request asks for, and approve it with the presence
passphrase, or with the PIN of this device where one is set. Compare the code with
the one that the asking program shows. To refuse, press Ctrl-C or use
"thumbturn deny". Where the daemon's settings ask for a finger beside what is typed
(Linux), it says so once that was right.

Without an ID, or with --page, it opens the approval page in the browser, where
passkeys approve. Where the presence passphrase has ended and no PIN is set, that is
the only way.

--lease also lets the same session run exactly the same again without asking, for
that long and --uses times at most. It is for an agent's "thumbturn run" in
standard vaults, where the policy gives a lease, and no longer than it says; a
lock, "thumbturn deny" with the same id, and any change of values, program,
command, directory or policy end it sooner.`,
		Example: "  thumbturn requests\n  thumbturn approve 5k3d…\n  thumbturn approve --lease 30m 5k3d…",
		Args:    cobra.MaximumNArgs(canon.MaxAnswered),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.Flags().Changed("uses") && o.Lease == 0:
				return console.Usage("--uses goes with --lease")
			case len(args) == 0 || o.Page:
				return Page(cmd.Context(), o, args)
			}
			return Approve(cmd.Context(), o, args...)
		},
	}
	cmd.Flags().DurationVar(&o.Lease, "lease", 0, "let the session run the same again without asking, for `DURATION` such as 30m")
	cmd.Flags().IntVar(&o.Uses, "uses", 100, "with --lease: `N` times at most")
	cmd.Flags().BoolVar(&o.Page, "page", false, "on the page in the browser, with a passkey")
	cmd.Flags().StringVar(&o.File, "passphrase-file", "", "read the presence passphrase from `FILE` (test homes only)")
	cmd.Flags().StringVar(&o.PIN, "pin-file", "", "read the PIN of this device from `FILE` (test homes only)")
	cmd.MarkFlagsMutuallyExclusive("page", "lease")
	cmd.MarkFlagsMutuallyExclusive("page", "pin-file")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "pin-file")
	cmd.MarkFlagsMutuallyExclusive("page", "passphrase-file")
	return cmd
}

// Approve shows the stored bytes of requests, decoded here and not by the daemon, then
// asks for the passphrase, once for all. --yes does not shorten it.
func Approve(ctx context.Context, o Options, ids ...string) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		leases := make([]*api.Lease, len(ids))
		locked := false
		seen := "" // of a file's change
		for i, id := range ids {
			p, err := s.Request(ctx, id)
			if err == nil {
				leases[i], err = o.shown(p, id, &seen)
			}
			if err != nil {
				return err
			}
			locked = locked || p.Unlock
		}
		if locked && (o.File != "" || o.PIN != "") {
			return fault.New(fault.Locked, "approve", ids[0], "it waits for the vaults to be opened, and what is typed here opens none").
				WithHint("a passkey opens them and approves it: thumbturn approve --page " + ids[0])
		}
		if locked {
			return o.page(ctx, s, ids...)
		}
		typed, auth, err := o.typed(ctx, s)
		if err != nil {
			return err
		}
		if len(typed) == 0 {
			return o.page(ctx, s, ids...)
		}
		defer clear(typed)
		s.Waiting = o.Console.Waiting // for a finger
		for i, id := range ids {
			if err := s.Approve(ctx, api.RequestID{ID: id, Source: auth.Source, Kind: auth.Kind, Lease: leases[i]}, typed); err != nil {
				return err
			}
			if err := answered(o.Console, id, "approved"); err != nil {
				return err
			}
		}
		return nil
	})
}

// shown shows one request, with the lease that is to come with it. The change of a
// project's file that was just seen is not shown once more.
func (o Options) shown(p api.Pending, id string, seen *string) (lease *api.Lease, err error) {
	if p.State != "pending" {
		return nil, fault.New(fault.Conflict, "approve", id, "the request is "+canon.Escape(p.State)+" already")
	}
	lines, code, err := decode(p, id)
	if err != nil {
		return nil, err
	}
	if o.Lease != 0 {
		if lease, err = o.lease(p); err != nil {
			return nil, err
		}
		lines = withLease(lines, *lease)
	}
	show(o.Console.Err, once(lines, seen), code, columns(o.Console.Err))
	return lease, nil
}

// typed is what a person types to approve: the PIN where one is set, else the presence
// passphrase; nothing where the page is to ask.
func (o Options) typed(ctx context.Context, s *sdk.Client) ([]byte, api.Auth, error) {
	st, _ := s.Status(ctx) // where it is not to be had, the passphrase is asked for
	by := st.Approval
	if o.PIN != "" || o.File == "" && by.PIN {
		other := "the presence passphrase"
		if !by.Passphrase {
			other = "the page, and a passkey"
		}
		p, auth, err := o.Console.PIN(by.Passphrase || by.Passkeys > 0, other, o.PIN)
		if err != nil || len(p) > 0 {
			return p, auth, err
		}
	}
	if o.File == "" && by.Passkeys > 0 && !by.Passphrase {
		return nil, api.Auth{}, nil
	}
	return o.Console.Passphrase("presence passphrase: ", o.File)
}

// Page opens the approval page; with an id it waits until that is answered.
func Page(ctx context.Context, o Options, ids []string) error {
	o.Console.WarnHome()
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		if len(ids) == 0 {
			return o.browse(ctx, s)
		}
		return o.page(ctx, s, ids...)
	})
}

func (o Options) browse(ctx context.Context, s *sdk.Client) error {
	p, err := s.Page(ctx)
	if err != nil {
		return err
	}
	return o.Console.Browse(ctx, p.URL, "to approve")
}

// page opens the page and waits until requests are answered there, or anywhere.
func (o Options) page(ctx context.Context, s *sdk.Client, ids ...string) error {
	for _, id := range ids {
		if _, err := s.Request(ctx, id); err != nil {
			return err
		}
	}
	if err := o.browse(ctx, s); err != nil {
		return err
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for len(ids) > 0 {
		p, err := s.Request(ctx, ids[0])
		switch {
		case err != nil:
			return err
		case p.State == "approved" || p.State == "used":
			if err := answered(o.Console, ids[0], "approved"); err != nil {
				return err
			}
			ids = ids[1:]
			continue
		case p.State == "opened":
			if err := answered(o.Console, ids[0], "opened: the vaults are open, and it is asked again in full"); err != nil {
				return err
			}
			ids = ids[1:]
			continue
		case p.State != "pending":
			return fault.New(fault.Denied, "approve", ids[0], "the request is "+canon.Escape(p.State))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// lease is what is given with the approval: its end is a moment, so that what is
// read is what holds, however long the reading takes.
func (o Options) lease(p api.Pending) (*api.Lease, error) {
	longest := time.Duration(p.Lease) * time.Millisecond
	switch {
	case o.Lease < 0 || o.Uses < 1:
		return nil, console.Usage("--lease wants a duration such as 30m, and --uses at least 1")
	case longest <= 0:
		return nil, fault.New(fault.Denied, "approve", p.ID, "this request can have no lease").
			WithHint("a policy may give one to an agent's `thumbturn run` in standard vaults: see docs/agents.md")
	case o.Lease > longest:
		return nil, fault.New(fault.Denied, "approve", p.ID, "the policy gives a lease of "+longest.String()+" at most")
	}
	return &api.Lease{Until: o.Console.Now().Add(o.Lease).UnixMilli(), Uses: o.Uses}, nil
}

// withLease puts what a lease gives behind what else is enforced.
func withLease(lines []canon.Line, l api.Lease) []canon.Line {
	at := slices.IndexFunc(lines, func(l canon.Line) bool { return l.Group != canon.Enforced })
	if at < 0 {
		at = len(lines)
	}
	return slices.Insert(lines, at, canon.LeaseLines(time.UnixMilli(l.Until), l.Uses)...)
}

// decode reads the canonical bytes and checks that all that names the request
// agrees: the id that was asked for, the id inside, and the short code.
func decode(p api.Pending, id string) ([]canon.Line, string, error) {
	bad := func(msg string) ([]canon.Line, string, error) {
		return nil, "", fault.New(fault.Tampered, "approve", id, msg).WithHint("do not approve it")
	}
	var r canon.Request
	if err := canon.Decode(p.Raw, &r); err != nil {
		return bad("the request's bytes are not in canonical form")
	}
	if err := r.Check(); err != nil {
		return bad("the request lacks what makes it one")
	}
	code := canon.ShortCode(canon.RequestDigest(p.Raw))
	if r.ID != id || p.ID != id {
		return bad("the daemon showed another request")
	}
	if p.Code != code {
		return bad("the request's code does not match its bytes")
	}
	return canon.Lines(r), code, nil
}

// NewDeny returns the deny command.
func NewDeny(c *console.Console) *cobra.Command {
	o := Options{Console: c}
	cmd := &cobra.Command{
		Use:   "deny ID",
		Short: "Refuse a request, or end a lease",
		Long: `Refuse a request, or end a lease.

With --mute, whatever the same session asks a person for is refused at once, for
that long; what needs no person is not touched. "thumbturn requests" lists it, and
its --unmute takes it back.`,
		Example: "  thumbturn deny 5k3d…\n  thumbturn deny --mute 10m 5k3d…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("mute") && o.Mute < time.Millisecond {
				return console.Usage("--mute wants a duration such as 10m")
			}
			return Deny(cmd.Context(), o, args[0])
		},
	}
	cmd.Flags().DurationVar(&o.Mute, "mute", 0, "and refuse whatever its session asks for `DURATION` such as 10m")
	return cmd
}

// Deny refuses a request.
func Deny(ctx context.Context, o Options, id string) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		var err error
		if o.Mute > 0 {
			err = s.Mute(ctx, id, o.Mute)
		} else {
			err = s.Deny(ctx, id)
		}
		if err != nil {
			return err
		}
		return answered(o.Console, id, "denied")
	})
}

func answered(c *console.Console, id, state string) error {
	return c.Print(map[string]string{"request": id, "state": state}, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s\n", state, canon.Escape(id))
	})
}
