// Package broker is the waist: every plaintext passes Release, and nothing else
// does what Release does.
//
// A caller asks to use a secret in a place. The broker identifies the caller,
// decides by policy, waits for a human where it must, writes down the intent,
// opens the secret, delivers it to that place, and writes down the outcome.
package broker

import (
	"context"
	"path/filepath"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/answer"
	"github.com/thumbturn/thumbturn/internal/broker/grant"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/form"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/broker/internal/latch"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/sink"
	"github.com/thumbturn/thumbturn/internal/broker/lease"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/ref"
)

// Sink is a place of delivery, built by the packages below this one.
type Sink = sink.Sink

// Ask is how a caller waits for a person.
type Ask = gate.Ask

// Answer is a person's yes to a request, as it was typed.
type Answer = answer.Answer

// Finger is what a gesture by what a person typed takes too.
type Finger = gate.Finger

// Clock is where the broker takes its time from.
type Clock = approve.Clock

// Broker is the waist. New makes one; its zero value refuses everything.
type Broker struct {
	*vault.Custody
	*grant.Office
	*answer.Desk
	g      *gate.Gate
	book   *book.Book
	grants *grant.Keeper
	leases *lease.Keeper
	latch  *latch.Latch
}

// New returns a broker that asks through a gate, whose deliveries pass a latch. It is
// called by the account package alone: nobody else can name a gate.
func New(g *gate.Gate, l *latch.Latch) *Broker {
	keeper, office := grant.New(g)
	leases := lease.New(g)
	return &Broker{Custody: vault.New(g), Office: office, Desk: answer.New(g, leases), g: g, book: g.Book, grants: keeper, leases: leases, latch: l}
}

// Want names the secrets of one release.
type Want struct {
	Ask
	Refs  []ref.Ref
	Agent bool        // the place is a program known to be an agent
	File  *lease.File // that names the task; nil for what is none, and for all deliveries
}

// Receipt is the place of a release in the ledger.
type Receipt struct {
	Request string
	Intent  int64
}

// leave is what a person gave before this release, of which this is a use.
type leave struct {
	grants []grant.Grant
	lease  *lease.Lease
}

// release is one pass through the waist.
type release struct {
	who      identity.Caller
	want     Want
	to       Sink
	action   string
	needs    []string // compartments beside those of the subjects
	subjects []canon.Subject
	records  []open.Record
	raw      []byte
	request  canon.Request // before describe only its Change, which a delivery has not
	digest   canon.Hash
	verdict  policy.Verdict
	under    leave // what the verdict rests on, if it does
	proof    approve.Proof
	gesture  *open.Gesture
	intent   ledger.Intent
}

// Release uses secrets once: it delivers the values named by want to the place
// to, or nothing at all. An error means that nothing was delivered, unless it
// came from the place of delivery itself; the ledger says which.
func (b *Broker) Release(ctx context.Context, who identity.Caller, want Want, to Sink) (Receipt, error) {
	return b.pass(ctx, &release{who: who, want: want, to: to, action: actionOf(to, want)})
}

// pass is the waist itself: the steps of a release, one after the other.
func (b *Broker) pass(ctx context.Context, r *release) (Receipt, error) {
	defer func() { r.gesture.Close() }()
	if err := b.found(ctx, r); err != nil {
		return Receipt{}, b.refuse(r, err)
	}

	// 1 digest: one canonical description of who, what, where.
	if err := b.describe(ctx, r); err != nil {
		return Receipt{}, b.refuse(r, err)
	}
	// 2 policy.
	if err := b.decide(ctx, r); err != nil {
		return Receipt{}, b.refuse(r, err)
	}
	// 3 a human's proof over that digest, where asked.
	if err := b.human(ctx, r); err != nil {
		return Receipt{}, b.refuse(r, err)
	}
	if err := b.g.Who.Recheck(r.who); err != nil {
		return Receipt{}, b.refuse(r, err)
	}
	// From here on a lock waits until the outcome is written, or this does not begin.
	done, ok := b.latch.Out()
	if !ok {
		return Receipt{}, b.refuse(r, open.ErrLocked)
	}
	defer done()
	// 4 intent, durable; if it cannot be written, refuse.
	if err := b.intend(ctx, r); err != nil {
		return Receipt{}, b.refuse(r, err)
	}
	// 5 a permit, from parts that agree on the digest.
	permit, err := open.Grant(r.raw, r.verdict, r.proof, r.intent, r.gesture)
	if err != nil {
		return Receipt{}, b.outcome(r, err)
	}
	b.lease(ctx, r)
	// 6 check each record against its manifest and open it; 7 deliver all or none.
	err = b.lend(ctx, permit, r.records, sink.Delivery{Request: r.request.ID, Receipt: r.intent.Index()}, r.to)
	// 8 outcome.
	return Receipt{Request: r.request.ID, Intent: r.intent.Index()}, b.outcome(r, err)
}

// lend opens the records one inside the other, so that all are open at once
// when they are delivered, none is open when one of them fails, and each is wiped
// as the calls return. Of a long one all has verified by then.
func (b *Broker) lend(ctx context.Context, p open.Permit, rest []open.Record, d sink.Delivery, to Sink) error {
	if len(rest) == 0 {
		return to.Deliver(ctx, d)
	}
	next := func(value []byte, long sealed.Text) error {
		d.Values, d.Long = append(d.Values, value), append(d.Long, long)
		return b.lend(ctx, p, rest[1:], d, to)
	}
	if sealed.IsList(rest[0].Bytes) {
		return b.book.Keys.Stream(ctx, p, rest[0], func(text sealed.Text) error { return next(nil, text) })
	}
	return b.book.Keys.Open(ctx, p, rest[0], func(text []byte) error {
		return form.Lend(rest[0].Ref, text, b.g.Clock.Now(), func(shaped []byte) error { return next(shaped, sealed.Text{}) })
	})
}

// actionOf names what a release does, for policy and for the page.
func actionOf(to Sink, w Want) string {
	switch to.Place().Grade {
	case canon.GradeHold:
		if w.Agent {
			return "run-agent"
		}
		return "hold"
	case canon.GradeReveal:
		return "reveal"
	case canon.GradeUse:
		return "use"
	}
	return ""
}

// resolve finds the record of each reference, under the latest manifests.
func (b *Broker) resolve(ctx context.Context, r *release) error {
	switch {
	case b.book == nil || r.who.Kind() == "":
		return fault.New(fault.Denied, "release", "", "nobody asks")
	case !r.to.Valid():
		return fault.New(fault.Denied, "release", "", "no place of delivery")
	case len(r.want.Refs) == 0:
		return fault.New(fault.Usage, "release", "", "no references")
	case !b.book.Keys.Unlocked():
		return open.ErrLocked
	}
	r.subjects, r.records = nil, nil
	for _, x := range r.want.Refs {
		s, epoch, err := b.book.Subject(ctx, r.action, x)
		if err != nil {
			return err
		}
		raw, err := b.book.Fetch(ctx, s.Record, s.Ref)
		if err != nil {
			return err
		}
		if sealed.IsList(raw) && !(r.to.Streams() && form.AsItIs(x.Query)) {
			return fault.New(fault.Usage, "release", s.Ref, "the value is too long to be used whole").
				WithHint("thumbturn read --out-file FILE '" + s.Ref + "'")
		}
		r.subjects = append(r.subjects, s)
		r.records = append(r.records, open.Record{Subject: s, Epoch: epoch, Bytes: raw,
			Piece: func(ctx context.Context, name canon.Hash) ([]byte, error) { return b.book.Raw(ctx, name, s.Ref) }})
	}
	return nil
}

// found is resolve, which while locked needs somebody to open the vaults first. Whoever
// does may approve the same by its names: what they come to is the request then.
func (b *Broker) found(ctx context.Context, r *release) error {
	err := b.resolve(ctx, r)
	if !fault.Is(err, fault.Locked) || r.action == actionMove { // a move is a person's act
		return err
	}
	req, proof, g, err := b.g.AskLocked(ctx, r.who, r.action, r.want.Ask, r.want.Refs, r.to.Place())
	if r.gesture = g; err != nil {
		return err
	}
	if err := b.resolve(ctx, r); err != nil || g == nil {
		return err
	}
	r.request, r.raw, r.proof = gate.Resolved(req, r.subjects, proof)
	r.digest = canon.RequestDigest(r.raw)
	return nil
}

// describe makes the request, or takes back the one the caller returns for.
func (b *Broker) describe(ctx context.Context, r *release) error {
	if r.request.Unlock { // it was asked while locked, and is described
		return nil
	}
	req, err := b.g.NewRequest(r.who, r.action, r.want.Ask)
	if err != nil {
		return err
	}
	req.Subjects, req.Place, req.Change = r.subjects, r.to.Place(), r.request.Change
	if req.Project, err = b.leases.Project(r.who, r.want.File, r.want.Refs, req.Place); err != nil {
		return err
	}
	r.request, r.raw = req, canon.Encode(req)
	if r.want.Request != "" {
		t, proof, opened, err := b.g.Resume(ctx, r.who, r.want.Ask, req)
		if err != nil {
			return err
		}
		r.raw, r.proof, r.request = t.Raw, proof, canon.Request{} // nothing of today's stays where the bytes say nothing
		r.gesture, _ = opened.(*open.Gesture)
		if err := canon.Decode(t.Raw, &r.request); err != nil {
			return fault.Wrap(fault.Internal, "release", r.want.Request, err)
		}
		if !canon.SameRecords(r.request.Subjects, r.subjects) {
			return fault.New(fault.Conflict, "release", r.want.Request, "a value or its binding changed since it was approved").WithHint("ask again")
		}
	}
	r.digest = canon.RequestDigest(r.raw)
	return nil
}

// human parks the request and waits, where the verdict asks for a person.
func (b *Broker) human(ctx context.Context, r *release) error {
	switch {
	case r.proof.Covers(r.digest): // it returned for it, and may have waited
		return b.unchanged(ctx, r)
	case r.verdict.Decision == policy.Allow:
		return nil
	}
	t := b.g.Ticket(r.who, r.request, r.raw, r.verdict, append(canon.PresenceVaults(r.subjects), r.needs...))
	if lease.Leasable(r.who, r.request) && b.ask(b.book.Policy(), r, leave{lease: &lease.Lease{}}).Decision == policy.Allow {
		t.Lease = r.verdict.Lease
	}
	proof, opened, err := b.g.Ask(ctx, r.who, r.want.Ask, t)
	if err != nil {
		return err
	}
	r.proof = proof
	r.gesture, _ = opened.(*open.Gesture)
	return b.unchanged(ctx, r)
}

// unchanged refuses where what was approved is not what is current any more, under
// the policy that asked.
func (b *Broker) unchanged(ctx context.Context, r *release) error {
	if err := b.g.Unchanged(r.request); err != nil {
		return err
	}
	for i, x := range r.want.Refs {
		s, _, err := b.book.Subject(ctx, r.action, x)
		if err != nil {
			return err
		}
		if s.Record != r.subjects[i].Record || s.Binding != r.subjects[i].Binding {
			return fault.New(fault.Conflict, "release", s.Ref, "it changed while it waited for approval").WithHint("ask again")
		}
	}
	return nil
}

// intend writes the durable intent. A use out of a lease's reserved block needs
// no sync of its own; its event follows.
func (b *Broker) intend(ctx context.Context, r *release) error {
	ev := b.event(r, canon.EventIntent, "allowed", "")
	if r.under.lease != nil {
		in, err := b.leases.Use(ctx, r.under.lease, &ev)
		if err == nil {
			b.book.Ledger.Later(ev)
		}
		r.intent = in
		return err
	}
	if err := b.g.Desk.Fresh(r.proof); err != nil {
		return err
	}
	if r.proof.Covers(r.digest) {
		ev.Proof = canon.Encode(r.proof.Evidence())
	}
	in, err := b.grants.Intend(ctx, r.under.grants, ev, r.request.ID)
	r.intent = in
	return err
}

// refuse records a denial and returns the error, made alike for strangers.
func (b *Broker) refuse(r *release, err error) error {
	if b.book != nil && gate.Notable(err) {
		b.book.Ledger.Later(b.event(r, canon.EventDenial, string(fault.KindOf(err)), gate.Shown(err.Error())))
	}
	return err
}

// outcome records how a release with an intent ended.
func (b *Broker) outcome(r *release, err error) error {
	ev := b.event(r, canon.EventOutcome, "delivered", "")
	if err != nil {
		ev.Outcome, ev.Reason = "failed", gate.Shown(err.Error())
	}
	ev.Intent = r.intent.Index() + 1
	ev.Raw = nil // the intent has it
	b.book.Ledger.Later(ev)
	return err
}

// decide asks the policy. What is not allowed as it is, may be under a grant;
// and what a person would be asked, under the lease that this session has.
func (b *Broker) decide(ctx context.Context, r *release) error {
	set := b.book.Policy() // none denies
	r.verdict = b.ask(set, r, leave{})
	if r.proof.Covers(r.digest) { // an answer is used, and no other leave
		return gate.Refusal(r.verdict, r.action, canon.Refs(r.subjects))
	}
	if r.action == "reveal" && r.verdict.Decision == policy.Allow && len(canon.PresenceVaults(r.subjects)) == 0 {
		r.under.lease = b.leases.Window(r.who)
	}
	if r.verdict.Decision != policy.Allow {
		covering := leave{grants: b.grants.Covering(r.who, grant.Use{Action: r.action, Place: r.to.Place(), Subjects: r.subjects})}
		if v := b.ask(set, r, covering); len(covering.grants) > 0 && v.Decision == policy.Allow {
			r.verdict, r.under = v, covering
		}
	}
	if r.verdict.Decision == policy.Ask {
		covering := leave{lease: b.leases.Task(ctx, r.who, r.request)}
		if v := b.ask(set, r, covering); covering.lease != nil && v.Decision == policy.Allow {
			r.verdict, r.under = v, covering
		}
	}
	return gate.Refusal(r.verdict, r.action, canon.Refs(r.subjects))
}

// lease gives what a person's approval of this release gives beyond it.
func (b *Broker) lease(ctx context.Context, r *release) {
	given, ok := r.proof.Lease(r.digest)
	switch {
	case ok:
		b.leases.OpenTask(ctx, r.who, r.request, given)
	case r.action == "reveal" && r.proof.Covers(r.digest) && len(canon.PresenceVaults(r.subjects)) == 0:
		b.leases.OpenWindow(r.who, r.request)
	}
}

// ask asks the policy about every subject; the strictest answer counts.
func (b *Broker) ask(set *policy.Set, r *release, under leave) (out policy.Verdict) {
	for i, s := range r.subjects {
		f := b.g.Facts(r.who, r.action, r.want.Ask)
		f.Digest, f.Vault, f.Tier, f.Item, f.Field, f.Grant, f.Lease = r.digest, s.Vault, string(s.Tier), s.Item, s.Field, len(under.grants) > 0, under.lease != nil
		f.Program, f.Grade, f.Sink = filepath.Base(r.to.Place().Program), string(r.to.Place().Grade), r.to.Place().Sink
		if r.action == actionMove { // the policy knows it as an act of government, not as a delivery
			f.Grade = ""
		}
		if v, err := b.book.Vault(r.action, s.Vault); err == nil {
			f.Name = v.Title
		}
		f.Window = r.action == "reveal" && s.Tier == canon.TierStandard && b.leases.Window(r.who) != nil
		if v := set.Decide(f); i == 0 {
			out = v
		} else {
			out = out.Stricter(v)
		}
	}
	return out
}

// Ended drops every lease, lets no delivery begin, and waits for those under way
// as long as ctx lets it: at lock. The returned function is called once the keys are
// gone, and ends what waits for a person.
func (b *Broker) Ended(ctx context.Context) (gone func()) {
	open := b.latch.Shut(ctx)
	b.leases.EndAll() // after the last delivery, which may have opened one
	return func() {
		b.g.Touches.Clear()
		b.g.Desk.Clear() // whoever hears that it is locked may rely on it; gate.Ask ends what comes later
		open()
	}
}

// ShownArgs returns an argument list as it may be recorded and displayed.
func ShownArgs(argv []string) []string { return gate.ShownArgs(argv) }
