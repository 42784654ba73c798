package open

import (
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"sync/atomic"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Permit is leave to open the records one request names, once for each time it names them. Only Grant
// makes one; the zero Permit opens nothing.
type Permit struct {
	account string
	gesture *Gesture
	left    map[canon.Hash]*atomic.Int64 // uses by record hash
	ok      bool
}

// Grant makes the Permit of a request. Request bytes, verdict, proof and intent
// must all be of one digest; where policy asked for a person, or a subject lies
// in a presence vault, a proof of that tier must be there, and for a presence
// vault the gesture that opens it.
func Grant(raw []byte, v policy.Verdict, p approve.Proof, in ledger.Intent, g *Gesture) (Permit, error) {
	refuse := func(why string) (Permit, error) {
		return Permit{}, fault.New(fault.Denied, "permit", "", why)
	}
	var r canon.Request
	if err := canon.Decode(raw, &r); err != nil {
		return refuse("the request is not in canonical form")
	}
	if err := r.Check(); err != nil {
		return refuse("the request is incomplete")
	}
	d := canon.RequestDigest(raw)
	switch {
	case !r.Resolved():
		return refuse("the request names what nobody looked up")
	case v.Digest != d || v.Decision != policy.Allow && v.Decision != policy.Ask:
		return refuse("the verdict is not for this request")
	case !in.Covers(d):
		return refuse("the intent is not for this request")
	case v.Decision == policy.Ask && !p.Covers(d):
		return refuse("nobody approved this request")
	}
	out := Permit{account: r.Account, gesture: g, left: map[canon.Hash]*atomic.Int64{}, ok: true}
	for _, s := range r.Subjects {
		if s.Tier != canon.TierStandard && !p.Covers(d) {
			return refuse("a guarded vault opens only with a gesture")
		}
		if out.left[s.Record] == nil {
			out.left[s.Record] = &atomic.Int64{}
		}
		out.left[s.Record].Add(1)
	}
	return out, nil
}

// Record is a sealed value with its place, as the latest manifest names it.
type Record struct {
	canon.Subject
	Epoch int64
	Bytes []byte
	Piece func(ctx context.Context, name canon.Hash) ([]byte, error) // reads a piece; it is checked here
}

// spend takes one use out of a permit for a record that is the one it names, and
// returns what opens it, and its place.
func (k *Keyring) spend(p Permit, r Record) (slot.Opener, sealed.Context, error) {
	at := sealed.Context{Type: sealed.TypeValue, Account: p.account, Vault: r.Vault, Epoch: r.Epoch,
		Item: r.Item, Field: r.Field, Revision: r.Revision}
	if !p.ok || p.account == "" {
		return nil, at, fault.New(fault.Denied, "open", r.Ref, "no permit")
	}
	left := p.left[r.Record]
	if left == nil || left.Add(-1) < 0 {
		return nil, at, fault.New(fault.Denied, "open", r.Ref, "the permit does not name this value")
	}
	if canon.Hash(sha256.Sum256(r.Bytes)) != r.Record {
		return nil, at, slot.Tampered("the record", r.Ref)
	}
	o, err := k.opener(p, r)
	return o, at, err
}

// Open opens one record a permit names and lends the plaintext to use, which
// must not keep it. Bytes that are not those the request names are fault.Tampered.
func (k *Keyring) Open(_ context.Context, p Permit, r Record, use func(text []byte) error) error {
	o, at, err := k.spend(p, r)
	if err != nil {
		return err
	}
	opened := false
	err = o.Whole(at, r.Bytes, func(text []byte) error {
		opened = true
		if len(text) > sealed.ChunkSize {
			return use(text) // larger values stay in ordinary memory and are wiped by the slot.Opener
		}
		b, free, err := k.arena.Take(len(text))
		if err != nil {
			return use(text)
		}
		defer free()
		copy(b, text)
		clear(text)
		return use(b)
	})
	if err != nil && !opened {
		return slot.Tampered("the record", r.Ref)
	}
	return err
}

// opener picks the key: the vault's own while unlocked for a standard vault; for
// a presence vault the seed of the epoch in which the value was sealed, opened with the
// gesture and forgotten again. A gesture weaker than the vault takes opens nothing,
// whatever its compartment was sealed to.
func (k *Keyring) opener(p Permit, r Record) (slot.Opener, error) {
	v, err := k.vault(r.Vault)
	if err != nil {
		return nil, err
	}
	if v.value != nil && r.Tier == canon.TierStandard && v.signed.Tier == canon.TierStandard {
		if v.signed.MinApproval != canon.LeastUnlock {
			return nil, slot.TooWeak(r.Ref, v.signed.MinApproval)
		}
		if v.signed.Epoch != r.Epoch {
			return nil, slot.Tampered("the record", r.Ref)
		}
		return v.value, nil
	}
	if p.gesture == nil || p.gesture.seeds[r.Vault] == nil || v.signed.Tier != canon.TierPresence {
		return nil, fault.New(fault.Denied, "open", r.Ref, "a guarded vault opens only with a gesture")
	}
	if least := v.signed.MinApproval; !least.Admits(p.gesture.way.Kind) {
		return nil, slot.TooWeak(r.Ref, least)
	}
	if p.gesture.epochs[r.Vault] != v.signed.Epoch {
		return nil, fault.New(fault.Conflict, "open", r.Ref, "the vault's keys were changed since it was approved").WithHint("ask again")
	}
	compartment := slot.FromSeed(p.gesture.seeds[r.Vault])
	return func(at sealed.Context, enc []byte, use func(*hpke.Recipient) error) error {
		seed, free, err := k.ways.VaultSeed(at.Account, v.signed, r.Epoch, compartment)
		if err != nil {
			return err
		}
		defer free()
		return slot.FromSeed(seed)(at, enc, use)
	}, nil
}
