package gate

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/ref"
)

// Locks opens what is locked, for a gate.
type Locks interface {
	// Ready reads the statements where that was not done yet; it fails where the
	// account cannot be unlocked. The caller holds Acts.
	Ready(ctx context.Context) error
	// Unlock opens the vaults by what open does, and records it. No terminal becomes a
	// person's by it. The caller does not hold Acts.
	Unlock(ctx context.Context, open func() error) error
}

// byName is why such a request is asked at all.
const byName = "the vaults are locked, and who asks is no person: a passkey opens them and answers this, in one gesture"

// AskLocked asks, while locked, for what references name, and waits for a passkey that
// opens the vaults and approves it by one gesture. Known agents alone may: a person at
// a terminal is told to unlock, and a job that nobody watches that it is locked. A nil
// Gesture without an error says that the vaults are open now and that nothing was
// approved: it is to be asked again, in full.
func (b *Gate) AskLocked(ctx context.Context, who identity.Caller, action string, a Ask, refs []ref.Ref, to canon.Place) (canon.Request, approve.Proof, *open.Gesture, error) {
	refuse := func(err error) (canon.Request, approve.Proof, *open.Gesture, error) {
		return canon.Request{}, approve.Proof{}, nil, err
	}
	if _, under := who.UnderAgent(); !under || who.Label() == "" || a.NoWait || a.Request != "" || b.Locks == nil {
		return refuse(open.ErrLocked)
	}
	b.Acts.Lock()
	err := b.Locks.Ready(ctx)
	b.Acts.Unlock()
	if err != nil || !b.Book.Roster().Passkeys() {
		return refuse(open.ErrLocked)
	}
	req, err := b.NewRequest(who, action, a)
	if err != nil {
		return refuse(err)
	}
	req.Place, req.Unlock = to, true
	if !b.thinkable(who, action, a, to) {
		return refuse(open.ErrLocked)
	}
	for _, x := range refs {
		if Shown(x.String()) != x.String() { // what looks like a credential is recorded and shown nowhere
			return refuse(open.ErrLocked)
		}
		req.Subjects = append(req.Subjects, canon.Subject{Ref: x.String()})
	}
	t := b.Ticket(who, req, canon.Encode(req), policy.Verdict{Reason: byName}, nil)
	t.Unlock = true
	defer b.Desk.Drop(t.ID) // nobody comes back for it: what was asked by name is asked anew
	proof, opened, err := b.Ask(ctx, who, a, t)
	g, _ := opened.(*open.Gesture)
	return req, proof, g, err
}

// thinkable reports whether the policy could let a caller do something in a vault that
// it does not know by name: nobody is asked to open the vaults for what is denied then.
func (b *Gate) thinkable(who identity.Caller, action string, a Ask, to canon.Place) bool {
	set := b.Book.Policy()
	return set != nil && slices.ContainsFunc([]canon.Tier{canon.TierStandard, canon.TierPresence}, func(tier canon.Tier) bool {
		f := b.Facts(who, action, a)
		f.Tier, f.Program, f.Grade, f.Sink = string(tier), filepath.Base(to.Program), string(to.Grade), to.Sink
		return Refusal(set.Decide(f), action, "") == nil
	})
}

// Resolved is what AskLocked asked with the values that its names came to, and the
// proof over that.
func Resolved(req canon.Request, subjects []canon.Subject, p approve.Proof) (canon.Request, []byte, approve.Proof) {
	names := req.Subjects
	req.Subjects = slices.Clone(subjects)
	for i := range req.Subjects {
		req.Subjects[i].Ref = names[i].Ref // as it was signed
	}
	raw := canon.Encode(req)
	return req, raw, p.Resolved(raw)
}

// Unlocks reports whether a ceremony's answer opens the vaults.
func (b *Gate) Unlocks(c approve.Ceremony) bool {
	about, ok := c.For.(asked)
	return ok && slices.ContainsFunc(about.tickets, func(t approve.Ticket) bool { return t.Unlock })
}

// unlocked is Answer for requests that were asked while locked. The signature was
// checked. For what was denied meanwhile, or left, nothing opens. What the names come to
// is known only now: where one comes to nothing, is no name, or comes to a vault that
// this touch does not open, its request is not approved, but asked again.
func (b *Gate) unlocked(ctx context.Context, about asked, touch open.Touch, signed canon.Assertion) (how string, err error) {
	defer b.Desk.Wake()
	for _, t := range about.tickets {
		if t, err = b.Desk.Get(t.ID); err != nil {
			return "", err
		}
		if t.State != approve.Pending {
			return "", fault.New(fault.Conflict, "approve", t.ID, "the request is "+string(t.State))
		}
	}
	err = b.Locks.Unlock(ctx, func() error {
		return b.Book.Keys.UnlockPasskey(b.Book.Roster(), touch, b.Book.Share, b.Book.Place())
	})
	if err != nil {
		return "", err
	}
	defer b.Desk.Open() // after the answer: whatever it does not cover is asked in full
	var all []approve.Yes
	var answered []approve.Ticket
	for _, t := range about.tickets {
		needs, err := b.needs(ctx, t)
		if err != nil {
			continue
		}
		g, err := b.Book.Keys.Passkey(b.Book.Roster(), touch, b.Book.Share, b.Book.Place(), needs)
		if err != nil {
			continue // as a vault of another way: it is asked with its own salt
		}
		answered = append(answered, t)
		all = append(all, approve.Yes{ID: t.ID, Digest: t.Digest, Gesture: approve.Gesture{Tier: approve.TierPasskey, Signed: &signed,
			Source: "page", Opened: g, Release: g.Close}})
	}
	if len(all) == 0 {
		return "opened", nil
	}
	if _, err = b.Desk.Answer(b.recorder(ctx, "page", "", "", answered...), all...); err != nil {
		for _, y := range all {
			y.Release()
		}
		return "", err
	}
	if len(all) < len(about.tickets) {
		return "opened", nil
	}
	return "approved", nil
}

// byNames reports whether a reference says by names alone what it came to. An id says
// nothing to a person who sees nothing else.
func byNames(x ref.Ref, came string) bool {
	y, err := ref.Parse(came)
	return err == nil && ref.Fold(x.Vault) == ref.Fold(y.Vault) && ref.Fold(x.Item) == ref.Fold(y.Item) && ref.Fold(x.Field) == ref.Fold(y.Field)
}

// needs are the guarded vaults that a request's names come to.
func (b *Gate) needs(ctx context.Context, t approve.Ticket) ([]string, error) {
	var req canon.Request
	if err := canon.Decode(t.Raw, &req); err != nil {
		return nil, fault.Wrap(fault.Internal, "approve", t.ID, err)
	}
	for i, s := range req.Subjects {
		x, err := ref.Parse(s.Ref)
		if err != nil {
			return nil, err
		}
		if req.Subjects[i], _, err = b.Book.Subject(ctx, req.Action, x); err != nil {
			return nil, err
		}
		if !byNames(x, req.Subjects[i].Ref) {
			return nil, fault.New(fault.Denied, "approve", s.Ref, "it is named by an id")
		}
	}
	return canon.PresenceVaults(req.Subjects), nil
}
