package grant

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/ref"
)

// Limits of a grant. Its uses are found by trying after a start (see spend).
const (
	maxLife   = 366 * 24 * time.Hour
	maxUses   = 10_000
	maxFields = 256
)

// Order is what a person asks a grant for.
type Order struct {
	gate.Ask
	Name    string
	Refs    []ref.Ref
	Program api.Program // as the caller's CLI reports it
	Task    string      // the project's task that runs it, empty for a command line
	Agent   bool        // it is a known agent
	Life    time.Duration
	Until   time.Time // where Life is zero
	Uses    int64     // 0 is any number
}

var (
	names  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	hashes = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func usage(name, msg string) error { return fault.New(fault.Usage, "grant create", name, msg) }

// CreateGrant makes a grant, after a gesture over all that it pins.
func (of *Office) CreateGrant(ctx context.Context, who identity.Caller, o Order) (Listed, error) {
	k := of.k
	if err := k.g.Listing(who); err != nil {
		return Listed{}, err
	}
	if who.Kind() != identity.Person { // whatever the policy says
		return Listed{}, k.g.Refused(who, "grant", fault.New(fault.Denied, "grant create", o.Name, "only a person makes a grant").
			WithHint("run it in a terminal of your own, after `thumbturn unlock`"))
	}
	if err := k.check(o); err != nil {
		return Listed{}, err
	}
	t, refs, err := k.terms(ctx, who, o)
	if err != nil {
		return Listed{}, err
	}
	v, err := k.may(who, t)
	if err != nil {
		return Listed{}, k.g.Refused(who, "grant", err)
	}
	req, gesture, err := k.g.Gesture(ctx, who, o.Ask, gate.Act{Action: "grant", Vault: v, Lines: lines(o, t, refs),
		Change: []string{string(canon.Encode(t)), o.Life.String(), strconv.FormatInt(o.Until.UnixMilli(), 10), strconv.FormatInt(o.Uses, 10)}})
	if err != nil {
		return Listed{}, k.g.Refused(who, "grant", err)
	}
	defer gesture.Close()
	k.create.Lock()
	defer k.create.Unlock()
	if k.named(o.Name) { // while it waited
		return Listed{}, k.g.Refused(who, "grant", fault.New(fault.Conflict, "grant create", o.Name, "a grant of that name was made meanwhile").
			WithHint("`thumbturn grant list` shows it; choose another name"))
	}
	id, err := canon.NewID(k.g.Rand)
	if err != nil {
		return Listed{}, err
	}
	g := canon.Grant{V: 1, ID: id, Vault: v.ID, Epoch: v.Epoch, Uses: o.Uses, Created: req.Issued, Until: o.Until.UnixMilli()}
	if o.Life > 0 { // from the request on: that is what was shown
		g.Until = req.Issued + o.Life.Milliseconds()
	}
	s, err := k.statement(gesture.Root().Sign, g, t)
	if err != nil {
		return Listed{}, err
	}
	ev := gate.Did(who, canon.EventWrite, "grant", "written", v.ID, "", "")
	ev.Grant, ev.Refs = id, refs
	if _, err := k.g.Book.Write(ctx, ledger.Entry{Statements: []ledger.Signed{s}, Consume: []string{req.ID}, Events: []canon.Event{ev}}); err != nil {
		return Listed{}, err
	}
	return Listed{Grant: Grant{Grant: g, Terms: t}, State: Live, Refs: refs}, nil
}

// check refuses an order that could not become a grant.
func (k *Keeper) check(o Order) error {
	p := o.Program
	end := o.Until
	if o.Life > 0 {
		end = k.g.Clock.Now().Add(o.Life)
	}
	switch {
	case !names.MatchString(o.Name) || canon.IsID(o.Name):
		return usage(o.Name, "a name is 1 to 64 letters, digits, dots, hyphens and underscores")
	case len(o.Refs) == 0 || len(o.Refs) > maxFields:
		return usage(o.Name, fmt.Sprintf("a grant is for 1 to %d references", maxFields))
	case len(o.Task) > 256:
		return usage(o.Name, "the name of the task is too long")
	case o.Uses < 0 || o.Uses > maxUses:
		return usage(o.Name, fmt.Sprintf("a grant has at most %d uses; without a number, any number until its end", maxUses))
	case o.Life < 0 || !end.After(k.g.Clock.Now()):
		return usage(o.Name, "its end has passed")
	case end.Sub(k.g.Clock.Now()) > maxLife:
		return usage(o.Name, "a grant lasts a year at most")
	case o.Agent:
		return usage(o.Name, "the program is an agent: it would hold the values itself, so a person is asked each time")
	case !filepath.IsAbs(p.Path) || !filepath.IsAbs(p.Dir) || len(p.Argv) == 0:
		return usage(o.Name, "a grant needs a program, its arguments and a directory")
	case !hashes.MatchString(p.Hash) || (p.Interpreter != "") != hashes.MatchString(p.IntHash):
		return usage(o.Name, "a grant needs the hash of the program, and of its interpreter: it is too large, or was not read")
	}
	if k.named(o.Name) {
		return fault.New(fault.Exists, "grant create", o.Name, "there is a grant of that name").
			WithHint("end it first: thumbturn grant revoke " + o.Name)
	}
	return nil
}

// named reports whether a live grant has a name.
func (k *Keeper) named(name string) bool {
	return slices.ContainsFunc(k.all(), func(g Grant) bool { return g.Terms.Name == name && k.g.Book.Live(g.ID) })
}

// terms resolves the references to fields by their ids.
func (k *Keeper) terms(ctx context.Context, who identity.Caller, o Order) (canon.GrantTerms, []string, error) {
	p := o.Program
	t := canon.GrantTerms{V: 1, Name: o.Name, Revisions: canon.RevisionsFollow, Grade: canon.GradeHold, UID: who.UID(),
		Program: p.Path, Hash: p.Hash, Interpreter: p.Interpreter, IntHash: p.IntHash,
		Argv: canon.ArgvDigest(p.Argv), Shown: gate.ShownArgs(p.Argv), Dir: p.Dir, Task: o.Task}
	var refs []string
	for _, r := range o.Refs {
		s, _, err := k.g.Book.Subject(ctx, "grant create", r)
		if err != nil {
			return t, nil, err
		}
		if s.Tier != canon.TierStandard {
			return t, nil, fault.New(fault.Denied, "grant create", s.Ref, "its vault opens only with a gesture each time, so no job can use it alone").
				WithHint("keep what a job needs in a standard vault")
		}
		f, ok := fieldOf(s)
		if !ok {
			return t, nil, fault.New(fault.Internal, "grant create", s.Ref, "the reference cannot be read again")
		}
		if !slices.Contains(t.Fields, f) {
			t.Fields, refs = append(t.Fields, f), append(refs, s.Ref)
		}
	}
	return t, refs, nil
}

// may asks the policy, vault by vault, whether this person may make the grant,
// and whether a job could use it: one that covers nothing would only mislead. It
// returns the first vault.
func (k *Keeper) may(who identity.Caller, t canon.GrantTerms) (*book.Vault, error) {
	set := k.g.Book.Policy()
	if set == nil {
		return nil, fault.New(fault.Denied, "grant", "", "no policy is in force")
	}
	var first *book.Vault
	for _, field := range t.Fields {
		v, err := k.g.Book.Vault("grant create", field.Vault)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = v
		}
		f := k.g.Facts(who, "grant", gate.Ask{})
		f.Target = policy.Target{Vault: v.ID, Name: v.Title, Tier: string(v.Tier), Item: field.Item, Field: field.Field}
		if err := gate.Refusal(set.Decide(f), "grant", v.Title); err != nil {
			return nil, err
		}
		f.Action, f.Caller, f.Session, f.Foreground, f.DirectChild, f.Grant = "hold", string(identity.Agent), false, false, false, true
		f.Sink, f.Grade, f.Program = "handoff", string(canon.GradeHold), filepath.Base(t.Program)
		if set.Decide(f).Decision != policy.Allow {
			return nil, fault.New(fault.Denied, "grant", v.Title, "under the policy in force no job could use it").
				WithHint("the policy must permit agents to hold `when { context.grant }`: see docs/grants.md")
		}
	}
	return first, nil
}

// lines is a grant as the person reads it: all that it pins.
func lines(o Order, t canon.GrantTerms, refs []string) []string {
	out := []string{fmt.Sprintf("grant %q: a job may use these alone, without asking", o.Name)}
	for i, f := range t.Fields {
		out = append(out, fmt.Sprintf("%s (%s/%s/%s): the value current at each use, in the environment of the program, never shown", refs[i], f.Vault, f.Item, f.Field))
	}
	until := "until " + o.Until.UTC().Format(time.RFC3339)
	if o.Life > 0 {
		until = "for " + days(o.Life) + " from this request on"
	}
	uses := "as often as it likes"
	if o.Uses > 0 {
		uses = fmt.Sprintf("%d times in all", o.Uses)
	}
	out = append(out, until+", "+uses+", as uid "+strconv.Itoa(t.UID),
		"program (reported): "+t.Program+" sha256 "+t.Hash)
	if t.Interpreter != "" {
		out = append(out, "run by (reported): "+t.Interpreter+" sha256 "+t.IntHash)
	}
	if t.Task != "" {
		out = append(out, "as the project's task: "+t.Task)
	}
	if o.Program.Writable {
		out = append(out, "programs of your user can change it; a changed one is asked about again")
	}
	return append(out, "with exactly the arguments: "+strings.Join(t.Shown, " ")+" (digest "+t.Argv.String()+")",
		"in the directory: "+t.Dir)
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
