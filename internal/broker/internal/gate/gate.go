// Package gate is how the broker asks: it turns a wish into one canonical
// request, asks the policy, parks the request for a person, waits for the
// answer, and records what happened. It opens no value; the gesture it hands on
// opens only what its request names.
package gate

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/chip"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
)

// Ask is how a caller waits for a person, and what it says about itself.
type Ask struct {
	NoWait  bool
	Request string // an earlier request this comes back for
	Purpose string // a claim
	Timeout time.Duration
	Typed   canon.SlotKind // of what a person typed for an act of their own: none is the presence passphrase
	// Waiting is called once before waiting; what it returns, after it.
	Waiting func(approve.Ticket) (done func(), err error)
	// Tell tells whoever typed something what else to do; nil is nobody.
	Tell func(text string)
}

// Gate asks for one account. Its parts are set once, by whoever makes it.
type Gate struct {
	Book    *book.Book
	Desk    *approve.Desk
	Touches *approve.Ceremonies
	Who     *identity.Registry
	Clock   approve.Clock
	Rand    io.Reader
	Chip    chip.Chip
	// Slowly runs a check of what was typed, later after a wrong passphrase. Whoever
	// calls it holds Acts.
	Slowly func(check func() error) error
	// Finger is asked when what was typed was right. Nil asks for none.
	Finger Finger
	// Acts is held by whoever acts on the account itself, and given back while a
	// person is asked.
	Acts sync.Locker
	// Locks opens the vaults for a request that was asked while locked. Nil opens none.
	Locks Locks
}

// requestLife is how long a request may wait for a person.
const requestLife = 5 * time.Minute

// Owner is the key of a caller's session root, with its kind: an agent in a
// person's terminal shares the root, and must not share answers or leases.
func Owner(c identity.Caller) string { return string(c.Kind()) + " " + c.Root().String() }

// Match is what a request and its return must have in common: references, the
// whole place of delivery, the change and the project's file, but not time, nonce or
// head.
func Match(r canon.Request) canon.Hash {
	parts := []string{r.Action, string(canon.Encode(r.Place)), r.Change.String()}
	for _, s := range r.Subjects {
		parts = append(parts, s.Vault, s.Item, s.Field, s.Ref)
	}
	if p := r.Project; p != nil { // what was approved meanwhile does not count
		parts = append(parts, string(canon.Tuple(p.File, p.Task, p.Hash.String())))
	}
	return canon.Digest("thumbturn/match/v1\x00", canon.Tuple(parts...))
}

// NewRequest fills in what every request has.
func (b *Gate) NewRequest(who identity.Caller, action string, a Ask) (canon.Request, error) {
	id, err := canon.NewID(b.Rand)
	if err != nil {
		return canon.Request{}, err
	}
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(b.Rand, nonce); err != nil {
		return canon.Request{}, err
	}
	g := b.Book.Genesis()
	_, head := b.Book.Ledger.Head()
	now := b.Clock.Now()
	req := canon.Request{V: 1, ID: id, Nonce: nonce, Audience: b.Book.Ledger.Device(), Account: g.Account, TestHome: g.TestHome,
		Action: action, Uses: 1, Head: string(head), Issued: now.UnixMilli(), Expires: now.Add(requestLife).UnixMilli(),
		Caller:    canon.Asker{Kind: string(who.Kind()), Label: who.Label(), Root: who.Root().String(), UID: who.UID()},
		Principal: canon.Fact{Value: "uid " + strconv.Itoa(who.UID()), Derived: true},
		Tenant:    canon.Fact{Value: g.Account, Derived: true},
		Purpose:   canon.Fact{Value: Shown(a.Purpose)}}
	if p := b.Book.Policy(); p != nil {
		req.Policy = p.Hash()
	}
	return req, nil
}

// Facts are what the policy may know of a caller and an action.
func (b *Gate) Facts(who identity.Caller, action string, a Ask) policy.Facts {
	g := b.Book.Genesis()
	return policy.Facts{Caller: string(who.Kind()), Session: who.Kind() == identity.Person, Agent: who.Label(), Action: action, DirectChild: who.ParentIsLeader(),
		Foreground: who.Foreground(), Principal: policy.Claim{Value: strconv.Itoa(who.UID()), Derived: true},
		Tenant: policy.Claim{Value: g.Account, Derived: true}, Purpose: policy.Claim{Value: a.Purpose}}
}

// Refusal is the error of a verdict that denies; nil for any other.
func Refusal(v policy.Verdict, action, at string) error {
	if v.Decision == policy.Allow || v.Decision == policy.Ask {
		return nil
	}
	return fault.New(fault.Denied, action, at, "policy does not allow it").WithHint(v.Reason)
}

// Ticket is a request as it is parked; needs are the compartments its gesture
// must open.
func (b *Gate) Ticket(who identity.Caller, req canon.Request, raw []byte, v policy.Verdict, needs []string) approve.Ticket {
	return approve.Ticket{ID: req.ID, Digest: canon.RequestDigest(raw), Raw: raw, Owner: Owner(who), Person: who.Kind() == identity.Person, Match: Match(req),
		Rules: v.Rules, Why: v.Reason, Needs: needs, Issued: req.Issued}
}

// Ask parks a request, records it, and waits for the answer.
func (b *Gate) Ask(ctx context.Context, who identity.Caller, a Ask, t approve.Ticket) (approve.Proof, any, error) {
	if err := b.Who.Recheck(who); err != nil {
		return approve.Proof{}, nil, err
	}
	if err := b.Desk.Park(t); err != nil {
		return approve.Proof{}, nil, err
	}
	switch opened := b.Book.Keys.Unlocked(); {
	case t.Unlock && opened: // somebody opened them in between
		b.Desk.Open(t.ID)
	case !t.Unlock && !opened && b.Book.Ledger.Held() == "": // a lock came in between
		b.Desk.Clear()
	}
	var req canon.Request
	if err := canon.Decode(t.Raw, &req); err != nil {
		return approve.Proof{}, nil, fault.Wrap(fault.Internal, "ask", t.ID, err)
	}
	ev := canon.Event{Type: canon.EventRequest, Request: t.ID, Digest: &t.Digest, Action: req.Action, Outcome: "pending",
		Kind: string(who.Kind()), Agent: who.Label(), Root: who.Root().String(), Rules: t.Rules, Raw: t.Raw}
	for _, s := range req.Subjects {
		if ev.Refs = append(ev.Refs, s.Ref); !t.Unlock {
			ev.Vaults, ev.Items = append(ev.Vaults, s.Vault), append(ev.Items, s.Item)
		}
	}
	b.Book.Ledger.Later(ev)
	_, proof, opened, err := b.Await(ctx, a, t, t.Owner, t.Match)
	return proof, opened, err
}

// Await tells the caller what it waits for and waits.
func (b *Gate) Await(ctx context.Context, a Ask, t approve.Ticket, who string, m canon.Hash) (approve.Ticket, approve.Proof, any, error) {
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
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.Timeout)
		defer cancel()
	}
	state, err := b.Desk.Wait(ctx, t.ID)
	switch {
	case err != nil:
		return t, approve.Proof{}, nil, parked
	case state == approve.Approved || state == approve.Used:
		return b.Desk.Take(t.ID, who, m)
	case state == approve.Opened:
		return t, approve.Proof{}, nil, nil
	case state == approve.Locked:
		b.Book.Ledger.Later(canon.Event{Type: canon.EventDecision, Request: t.ID, Digest: &t.Digest, Outcome: "locked"})
		return b.Desk.Take(t.ID, who, m) // says so
	case state == approve.Denied:
		return t, approve.Proof{}, nil, fault.New(fault.Denied, "ask", t.ID, "a person denied it")
	}
	b.Book.Ledger.Later(canon.Event{Type: canon.EventDecision, Request: t.ID, Digest: &t.Digest, Outcome: "expired"})
	return t, approve.Proof{}, nil, fault.New(fault.Pending, "ask", t.ID, "nobody answered in time").WithHint("ask again when somebody is there")
}

// Resume takes back the request that a caller returns for with the same wish, and
// waits where nobody has answered it yet.
func (b *Gate) Resume(ctx context.Context, who identity.Caller, a Ask, req canon.Request) (approve.Ticket, approve.Proof, any, error) {
	t, proof, opened, err := b.Desk.Take(a.Request, Owner(who), Match(req))
	if fault.Is(err, fault.Pending) && !a.NoWait {
		return b.Await(ctx, a, t, Owner(who), Match(req))
	}
	return t, proof, opened, err
}

// Answer is a person's yes to a request, as it was typed.
type Answer struct {
	Source string         // terminal or file
	Lease  approve.Lease  // what is given beyond the request
	Typed  canon.SlotKind // see Ask
	Secret []byte
	Tell   func(text string) // see Ask
}

// Approve answers a request with what a person typed, and a finger where the settings
// ask for one. Only a person may: never an agent, nor anybody below one. What the
// gesture opens is exactly what the request names.
func (b *Gate) Approve(ctx context.Context, who identity.Caller, id string, a Answer) error {
	b.Acts.Lock()
	defer b.Acts.Unlock()
	if err := b.approver("approve", who); err != nil {
		return err
	}
	t, err := b.Desk.Get(id)
	if err != nil {
		return err
	}
	if t.Unlock { // what is typed here opens no session
		return fault.New(fault.Locked, "approve", id, "it waits for the vaults to be opened").
			WithHint("a passkey opens them and approves it: thumbturn approve --page; or run `thumbturn unlock`, and it is asked in full")
	}
	yes := approve.Gesture{Source: a.Source, Lease: a.Lease}
	if a.Typed == canon.SlotPIN {
		yes.Tier = approve.TierPIN
	}
	if t.Signed != nil && !b.enrolled(t.Signed.Assertion) { // removed since
		t.Signed = nil
	}
	if t.Signed != nil { // by a passkey, which said what is given
		if a.Lease != (approve.Lease{}) && a.Lease != t.Signed.Lease {
			return fault.New(fault.Conflict, "approve", id, "the passkey signed other terms").WithHint("approve it without --lease")
		}
		yes.Tier, yes.Signed, yes.Lease = approve.TierSigned, &t.Signed.Assertion, t.Signed.Lease
	}
	if err := b.Desk.MayGive(t, yes.Lease); err != nil { // before what was typed costs a second
		return err
	}
	g, note, err := b.typed(ctx, b.Book, a.Typed, a.Secret, t.Needs, a.Tell)
	if err != nil {
		why := Shown(fault.Stranger(err).Msg)
		if a.Typed != canon.SlotPIN && fault.Is(err, fault.Passphrase) {
			why = "wrong presence passphrase"
		}
		b.failed(string(who.Kind()), who.Root().String(), why, t)
		return err
	}
	yes.Opened, yes.Release = g, g.Close
	_, err = b.Desk.Answer(b.recorder(ctx, string(who.Kind()), who.Root().String(), note, t), approve.Yes{ID: id, Digest: t.Digest, Gesture: yes})
	if err != nil {
		g.Close()
	}
	return err
}

// recorder writes down that requests are approved, before they are.
func (b *Gate) recorder(ctx context.Context, kind, root, reason string, tickets ...approve.Ticket) func([]approve.Proof) error {
	return func(proofs []approve.Proof) error {
		var evs []canon.Event
		for i, t := range tickets {
			evs = append(evs, canon.Event{Type: canon.EventDecision, Request: t.ID, Digest: &t.Digest, Outcome: "approved",
				Kind: kind, Root: root, Reason: reason, Proof: canon.Encode(proofs[i].Evidence()), Raw: t.Raw})
		}
		return b.record(ctx, evs...)
	}
}

// record writes what a person answered. A held ledger takes nothing, and only a
// restore asks there: its statement is what stays of it.
func (b *Gate) record(ctx context.Context, evs ...canon.Event) error {
	_, err := b.Book.Ledger.Append(ctx, ledger.Entry{Events: evs})
	if fault.Is(err, fault.Held) {
		return nil
	}
	return err
}

// Deny refuses a request. Refusing is always safe, so anybody of this user may.
func (b *Gate) Deny(ctx context.Context, who identity.Caller, id string) error {
	if err := b.Desk.Deny(id); err != nil {
		return err
	}
	return b.record(ctx, canon.Event{Type: canon.EventDecision, Request: id, Outcome: "denied", Kind: string(who.Kind()), Root: who.Root().String()})
}

// Mute refuses a request, and for a time whatever else its session asks. An agent
// may refuse, but not make somebody else be refused.
func (b *Gate) Mute(ctx context.Context, who identity.Caller, id string, life time.Duration) error {
	if err := b.approver("deny", who); err != nil {
		return err
	}
	refused, err := b.Desk.Mute(id, life)
	if err != nil {
		return err
	}
	var evs []canon.Event
	for _, x := range refused {
		ev := Did(who, canon.EventDecision, "", "denied", "", "", "")
		if ev.Request = x; x == id {
			ev.Reason = "its session is muted for " + life.String()
		}
		evs = append(evs, ev)
	}
	_, err = b.Book.Ledger.Append(ctx, ledger.Entry{Events: evs})
	return err
}

// Unmute lets a session ask again.
func (b *Gate) Unmute(ctx context.Context, who identity.Caller, id string) error {
	if err := b.approver("requests", who); err != nil {
		return err
	}
	if err := b.Desk.Unmute(id); err != nil {
		return err
	}
	ev := Did(who, canon.EventDecision, "", "done", "", "", "")
	ev.Request, ev.Reason = id, "its session may ask again"
	_, err := b.Book.Ledger.Append(ctx, ledger.Entry{Events: []canon.Event{ev}})
	return err
}

// approver refuses everybody who must not answer for a person.
func (b *Gate) approver(op string, who identity.Caller) error {
	test := b.Book.Genesis().TestHome
	if agent, under := who.UnderAgent(); under && !test {
		return fault.New(fault.Denied, op, "", "refused under an agent ("+agent+")").WithHint("run it in a terminal of your own")
	}
	if who.Kind() == "" || !who.HasTerminal() && !test {
		return fault.New(fault.Denied, op, "", "needs a terminal of your own")
	}
	return b.Who.Recheck(who)
}

// Act is an administrative act: what it changes, for the digest and for the
// person to read, and the vault it concerns, if one.
type Act struct {
	Action string
	Vault  *book.Vault
	Lines  []string
	Change []string
	Needs  []string // vaults that the gesture must open too
}

// Gesture asks a person for an administrative act and returns the opened
// gesture, which can sign with the root key; the caller closes it.
func (b *Gate) Gesture(ctx context.Context, who identity.Caller, a Ask, act Act) (canon.Request, *open.Gesture, error) {
	req, err := b.describe(who, a, act)
	if err != nil {
		return req, nil, err
	}
	f := b.Facts(who, act.Action, a)
	f.Digest = canon.RequestDigest(canon.Encode(req))
	if act.Vault != nil {
		f.Vault, f.Name, f.Tier = act.Vault.ID, act.Vault.Title, string(act.Vault.Tier)
	}
	set := b.Book.Policy()
	if set == nil {
		return req, nil, fault.New(fault.Denied, act.Action, "", "no policy is in force")
	}
	v := set.Decide(f)
	if err := Refusal(v, act.Action, ""); err != nil {
		return req, nil, err
	}
	req, g, err := b.obtain(ctx, who, a, req, v, append([]string{"account"}, act.Needs...))
	if err == nil {
		if err = b.Unchanged(req); err != nil {
			g.Close()
		}
	}
	if err != nil {
		return req, nil, err
	}
	return req, g, nil
}

// describe is the request of an act.
func (b *Gate) describe(who identity.Caller, a Ask, act Act) (canon.Request, error) {
	req, err := b.NewRequest(who, act.Action, a)
	req.Place = canon.Place{Sink: "statement", Grade: canon.GradeNone, Names: act.Lines}
	req.Change = canon.Digest("thumbturn/act/v1\x00", canon.Tuple(append([]string{act.Action}, act.Change...)...))
	return req, err
}

// obtain parks the request of an act and waits for its gesture, or takes back the
// one that the caller returns for.
func (b *Gate) obtain(ctx context.Context, who identity.Caller, a Ask, req canon.Request, v policy.Verdict, needs []string) (canon.Request, *open.Gesture, error) {
	var opened any
	var err error
	if a.Request != "" {
		var t approve.Ticket
		if t, _, opened, err = b.Resume(ctx, who, a, req); err == nil {
			err = canon.Decode(t.Raw, &req)
		}
	} else {
		_, opened, err = b.Ask(ctx, who, a, b.Ticket(who, req, canon.Encode(req), v, needs))
	}
	g, _ := opened.(*open.Gesture)
	if err == nil && g == nil {
		err = fault.New(fault.Denied, req.Action, "", "nobody approved it")
	}
	if err == nil {
		err = b.Who.Recheck(who)
	}
	if err != nil {
		g.Close()
		return req, nil, err
	}
	return req, g, nil
}

// Unchanged refuses what was asked under a policy that is in force no longer.
func (b *Gate) Unchanged(req canon.Request) error {
	if p := b.Book.Policy(); p == nil || p.Hash() != req.Policy {
		return fault.New(fault.Conflict, req.Action, canon.Refs(req.Subjects), "the policy changed while it waited for approval").WithHint("ask again")
	}
	return nil
}

// Listing says whether the caller may see names.
func (b *Gate) Listing(who identity.Caller) error {
	if !b.Book.Keys.Unlocked() {
		return b.Refused(who, "list", open.ErrLocked)
	}
	set := b.Book.Policy()
	if set == nil || set.Decide(b.Facts(who, "list", Ask{})).Decision != policy.Allow {
		return b.Refused(who, "list", fault.New(fault.Denied, "list", "", "policy does not allow it"))
	}
	return nil
}

// Notable reports whether a refusal is one more event. A request that waits is
// none, and is on record already.
func Notable(err error) bool { return !fault.Is(err, fault.Pending) && !approve.Repeated(err) }

// Refused records a denial of something other than a release.
func (b *Gate) Refused(who identity.Caller, action string, err error) error {
	if !Notable(err) {
		return err
	}
	ev := Did(who, canon.EventDenial, action, string(fault.KindOf(err)), "", "", "")
	ev.Reason = Shown(err.Error())
	b.Book.Ledger.Later(ev)
	return err
}
