package broker

import (
	"context"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
)

// requestLife is how long a request may wait for a person.
const requestLife = 5 * time.Minute

// owner is the key of a caller's session root, with its kind: an agent in a
// person's terminal shares the root, and must not share answers or leases.
func owner(c identity.Caller) string { return string(c.Kind()) + " " + c.Root().String() }

// match is what a request and its return must have in common: references,
// sink, program and arguments, but not time, nonce or head.
func match(r canon.Request) canon.Hash {
	parts := []string{r.Action, r.Place.Sink, string(r.Place.Grade), r.Place.Argv.String(), r.Change.String()}
	for _, s := range r.Subjects {
		parts = append(parts, s.Vault, s.Item, s.Field)
	}
	return canon.Digest("thumbturn/match/v1\x00", canon.Tuple(parts...))
}

func sameRecords(a, c []canon.Subject) bool {
	if len(a) != len(c) {
		return false
	}
	for i := range a {
		if a[i].Record != c[i].Record || a[i].Binding != c[i].Binding {
			return false
		}
	}
	return true
}

// newRequest fills in what every request has.
func (b *Broker) newRequest(who identity.Caller, action string, a Ask) (canon.Request, error) {
	id, err := canon.NewID(b.rand)
	if err != nil {
		return canon.Request{}, err
	}
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(b.rand, nonce); err != nil {
		return canon.Request{}, err
	}
	g := b.book.Genesis()
	_, head := b.book.Ledger.Head()
	now := b.clock.Now()
	req := canon.Request{V: 1, ID: id, Nonce: nonce, Audience: g.Device, Account: g.Account, TestHome: g.TestHome,
		Action: action, Uses: 1, Head: string(head), Issued: now.UnixMilli(), Expires: now.Add(requestLife).UnixMilli(),
		Caller:    canon.Asker{Kind: string(who.Kind()), Label: who.Label(), Root: who.Root().String(), UID: who.UID()},
		Principal: canon.Fact{Value: "uid " + strconv.Itoa(who.UID()), Derived: true},
		Tenant:    canon.Fact{Value: g.Account, Derived: true},
		Purpose:   canon.Fact{Value: Shown(a.Purpose)}}
	if p := b.book.Policy(); p != nil {
		req.Policy = p.Hash()
	}
	return req, nil
}

// decide asks the policy about every subject; the strictest answer counts.
func (b *Broker) decide(r *release) error {
	set := b.book.Policy()
	if set == nil {
		return fault.New(fault.Denied, r.action, "", "no policy is in force")
	}
	for i, s := range r.subjects {
		f := b.facts(r.who, r.action, r.want.Ask)
		f.Digest, f.Vault, f.Tier, f.Item, f.Field = r.digest, s.Vault, string(s.Tier), s.Item, s.Field
		f.Program, f.Grade, f.Sink = filepath.Base(r.to.Place().Program), string(r.to.Place().Grade), r.to.Place().Sink
		if v, err := b.book.Vault(r.action, s.Vault); err == nil {
			f.Name = v.Title
		}
		f.Window = r.action == "reveal" && s.Tier == canon.TierStandard && b.window(r.who)
		v := set.Decide(f)
		if i == 0 {
			r.verdict = v
		} else {
			r.verdict = r.verdict.Stricter(v)
		}
	}
	return verdictError(r.verdict, r.action, refsOf(r.subjects))
}

func (b *Broker) facts(who identity.Caller, action string, a Ask) policy.Facts {
	g := b.book.Genesis()
	return policy.Facts{Caller: string(who.Kind()), Session: who.Kind() == identity.Person, Agent: who.Label(), Action: action, DirectChild: who.ParentIsLeader(),
		Foreground: who.Foreground(), Principal: policy.Claim{Value: strconv.Itoa(who.UID()), Derived: true},
		Tenant: policy.Claim{Value: g.Account, Derived: true}, Purpose: policy.Claim{Value: a.Purpose}}
}

func verdictError(v policy.Verdict, action, at string) error {
	if v.Decision == policy.Allow || v.Decision == policy.Ask {
		return nil
	}
	return fault.New(fault.Denied, action, at, "policy does not allow it").WithHint(v.Reason)
}

func refsOf(subjects []canon.Subject) string {
	switch len(subjects) {
	case 0:
		return ""
	case 1:
		return subjects[0].Ref
	}
	return subjects[0].Ref + " and " + strconv.Itoa(len(subjects)-1) + " more"
}

// presenceVaults lists the compartments a release needs.
func presenceVaults(subjects []canon.Subject) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range subjects {
		if s.Tier != canon.TierStandard && !seen[s.Vault] {
			seen[s.Vault] = true
			out = append(out, s.Vault)
		}
	}
	sort.Strings(out)
	return out
}

func (b *Broker) ticket(who identity.Caller, req canon.Request, raw []byte, v policy.Verdict, needs []string) approve.Ticket {
	return approve.Ticket{ID: req.ID, Digest: canon.RequestDigest(raw), Raw: raw, Owner: owner(who), Match: match(req),
		Rules: v.Rules, Why: v.Reason, Needs: needs, Issued: req.Issued}
}

// ask parks a request, records it, and waits for the answer.
func (b *Broker) ask(ctx context.Context, who identity.Caller, a Ask, t approve.Ticket) (approve.Proof, any, error) {
	if err := b.who.Recheck(who); err != nil {
		return approve.Proof{}, nil, err
	}
	if err := b.desk.Park(t); err != nil {
		return approve.Proof{}, nil, err
	}
	var req canon.Request
	if err := canon.Decode(t.Raw, &req); err != nil {
		return approve.Proof{}, nil, fault.Wrap(fault.Internal, "ask", t.ID, err)
	}
	ev := canon.Event{Type: canon.EventRequest, Request: t.ID, Digest: &t.Digest, Action: req.Action, Outcome: "pending",
		Kind: string(who.Kind()), Agent: who.Label(), Root: who.Root().String(), Rules: t.Rules, Raw: t.Raw}
	for _, s := range req.Subjects {
		ev.Refs, ev.Vaults, ev.Items = append(ev.Refs, s.Ref), append(ev.Vaults, s.Vault), append(ev.Items, s.Item)
	}
	b.book.Ledger.Later(ev)
	_, proof, opened, err := b.await(a.with(ctx), t, t.Owner, t.Match)
	return proof, opened, err
}

// with carries the context of the waiting caller.
func (a Ask) with(ctx context.Context) Ask { a.ctx = ctx; return a }

// await tells the caller what it waits for and waits.
func (b *Broker) await(a Ask, t approve.Ticket, who string, m canon.Hash) (approve.Ticket, approve.Proof, any, error) {
	parked := fault.New(fault.Pending, "ask", t.ID, "waits for a person").
		WithHint("approve it with: thumbturn approve " + t.ID)
	if a.NoWait {
		return t, approve.Proof{}, nil, parked
	}
	if a.Waiting != nil {
		done, err := a.Waiting(t)
		defer done()
		if err != nil {
			return t, approve.Proof{}, nil, parked
		}
	}
	ctx, cancel := a.context()
	defer cancel()
	state, err := b.desk.Wait(ctx, t.ID)
	switch {
	case err != nil:
		return t, approve.Proof{}, nil, parked
	case state == approve.Approved || state == approve.Used:
		return b.desk.Take(t.ID, who, m)
	case state == approve.Denied:
		return t, approve.Proof{}, nil, fault.New(fault.Denied, "ask", t.ID, "a person denied it")
	}
	return t, approve.Proof{}, nil, fault.New(fault.Pending, "ask", t.ID, "nobody answered in time").WithHint("ask again when somebody is there")
}

func (a Ask) context() (context.Context, context.CancelFunc) {
	ctx := a.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	if a.Timeout > 0 {
		return context.WithTimeout(ctx, a.Timeout)
	}
	return context.WithCancel(ctx)
}

// Approve answers a request with the presence passphrase. Only a person may:
// never an agent, nor anybody below one. What the gesture opens is exactly what
// the request names.
func (b *Broker) Approve(ctx context.Context, who identity.Caller, id, source string, passphrase []byte) error {
	if err := b.approver(who); err != nil {
		return err
	}
	t, err := b.desk.Get(id)
	if err != nil {
		return err
	}
	g, err := b.book.Keys.Gesture(b.book.Roster(), passphrase, b.book.Share, b.book.Place(), t.Needs)
	if err != nil {
		b.book.Ledger.Later(canon.Event{Type: canon.EventDecision, Request: id, Digest: &t.Digest, Outcome: "failed",
			Kind: string(who.Kind()), Root: who.Root().String(), Reason: "wrong presence passphrase"})
		return err
	}
	proof, err := b.desk.Answer(id, t.Digest, source, g, g.Close)
	if err != nil {
		g.Close()
		return err
	}
	_, err = b.book.Ledger.Append(ctx, ledger.Entry{Events: []canon.Event{{Type: canon.EventDecision, Request: id, Digest: &t.Digest,
		Outcome: "approved", Kind: string(who.Kind()), Root: who.Root().String(), Proof: canon.Encode(proof.Evidence()), Raw: t.Raw}}})
	return err
}

// Deny refuses a request, or ends a lease. Refusing is always safe, so anybody
// of this user may.
func (b *Broker) Deny(ctx context.Context, who identity.Caller, id string) error {
	if b.Revoke(id) {
		return nil
	}
	if err := b.desk.Deny(id); err != nil {
		return err
	}
	_, err := b.book.Ledger.Append(ctx, ledger.Entry{Events: []canon.Event{{Type: canon.EventDecision, Request: id,
		Outcome: "denied", Kind: string(who.Kind()), Root: who.Root().String()}}})
	return err
}

// approver refuses everybody who must not answer for a person.
func (b *Broker) approver(who identity.Caller) error {
	test := b.book.Genesis().TestHome
	if agent, under := who.UnderAgent(); under && !test {
		return fault.New(fault.Denied, "approve", "", "refused under an agent ("+agent+")").WithHint("run it in a terminal of your own")
	}
	if who.Kind() == "" || !who.HasTerminal() && !test {
		return fault.New(fault.Denied, "approve", "", "needs a terminal of your own")
	}
	return b.who.Recheck(who)
}

// act is an administrative act: what it changes, for the digest and for the
// person to read, and the vault it concerns, if one.
type act struct {
	action string
	vault  *Vault
	lines  []string
	change []string
}

// gesture asks a person for an administrative act and returns the opened
// gesture, which can sign with the root key; the caller closes it.
func (b *Broker) gesture(ctx context.Context, who identity.Caller, a Ask, act act) (canon.Request, *open.Gesture, error) {
	action := act.action
	req, err := b.newRequest(who, action, a)
	if err != nil {
		return req, nil, err
	}
	req.Place = canon.Place{Sink: "statement", Grade: canon.GradeNone, Names: act.lines}
	req.Change = canon.Digest("thumbturn/act/v1\x00", canon.Tuple(append([]string{action}, act.change...)...))
	raw := canon.Encode(req)
	f := b.facts(who, action, a)
	f.Digest = canon.RequestDigest(raw)
	if act.vault != nil {
		f.Vault, f.Name, f.Tier = act.vault.ID, act.vault.Title, string(act.vault.Tier)
	}
	set := b.book.Policy()
	if set == nil {
		return req, nil, fault.New(fault.Denied, action, "", "no policy is in force")
	}
	v := set.Decide(f)
	if err := verdictError(v, action, ""); err != nil {
		return req, nil, err
	}
	var opened any
	if a.Request != "" {
		var t approve.Ticket
		if t, _, opened, err = b.desk.Take(a.Request, owner(who), match(req)); fault.Is(err, fault.Pending) && !a.NoWait {
			t, _, opened, err = b.await(a.with(ctx), t, owner(who), match(req))
		}
		if err == nil {
			err = canon.Decode(t.Raw, &req)
		}
	} else {
		_, opened, err = b.ask(ctx, who, a, b.ticket(who, req, raw, v, []string{"account"}))
	}
	g, _ := opened.(*open.Gesture)
	if err == nil && g == nil {
		err = fault.New(fault.Denied, action, "", "nobody approved it")
	}
	return req, g, err
}

// Requests lists what waits for a person and what was answered lately.
func (b *Broker) Requests() []approve.Ticket { return b.desk.List() }

// Request returns one request.
func (b *Broker) Request(id string) (approve.Ticket, error) { return b.desk.Get(id) }

// MayRead refuses whoever may not list names: the ledger names everything.
func (b *Broker) MayRead(who identity.Caller) error { return b.listing(who) }

// RefuseLocked records that something was asked for while locked. No policy
// runs: names cannot be resolved.
func (b *Broker) RefuseLocked(who identity.Caller, action string) {
	_ = b.refused(who, action, open.ErrLocked)
}

// Policy returns the policy in force.
func (b *Broker) Policy(who identity.Caller) (text string, hash canon.Hash, err error) {
	if err := b.listing(who); err != nil {
		return "", hash, err
	}
	p := b.book.Policy()
	return p.Text(), p.Hash(), nil
}
