package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
)

// Key is a device that signs heads, and its Ed25519 public key.
type Key struct {
	Device string
	Public []byte
}

func (k Key) equal(o Key) bool { return k.Device == o.Device && bytes.Equal(k.Public, o.Public) }

// verifier checks heads, and cannot sign.
func (k Key) verifier() signer {
	return signer{name: Origin(k.Device), pub: ed25519.PublicKey(k.Public)}
}

// self is the device that this ledger runs on.
func (l *Ledger) self() Key { return Key{l.o.Device.ID(), l.o.Signer} }

// signer is the device that signed the stored head.
func (l *Ledger) signer() Key {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.signed.Device == "" { // nothing was stored when it was opened
		return l.self()
	}
	return l.signed
}

// era is what one device wrote: the events from an index on. root is the tree
// before them, as the device before signed it.
type era struct {
	key  Key
	from int64
	root canon.Hash
}

// follow begins the next era where statement n is a genesis or gives the ledger to
// another device. The device before must have signed the head that ends its era,
// at exactly this place. That the statement itself is signed by the root key,
// whoever takes it in must check.
func follow(eras []era, s canon.Statement, n int64, link canon.Hash) ([]era, error) {
	bad := func(msg string) ([]era, error) { return nil, fault.New(fault.Tampered, "replay", s.Subject, msg) }
	key, ended, err := named(s)
	switch {
	case err != nil:
		return nil, err
	case n == 0 && s.Type != canon.TypeGenesis:
		return bad("the first statement is no genesis")
	case n == 0:
		return append(eras, era{key: key}), nil
	case s.Type != canon.TypeDevice:
		return eras, nil
	}
	last := eras[len(eras)-1]
	head, err := openHead([]byte(ended), last.key.verifier())
	if err != nil || head.Statements != n || head.Link != link || head.Events < last.from {
		return bad("the device before did not end its part of the ledger here")
	}
	return append(eras, era{key: key, from: head.Events, root: head.Root}), nil
}

// named reads the device that a genesis or a device statement names, and the last
// head of the one before it. Other statements name none.
func named(s canon.Statement) (k Key, ended string, err error) {
	var g canon.Genesis
	var d canon.Device
	switch s.Type {
	case canon.TypeGenesis:
		err = canon.Decode(s.Payload, &g)
		k = Key{g.Device, g.DeviceKey}
	case canon.TypeDevice:
		err = canon.Decode(s.Payload, &d)
		k, ended = Key{d.Device, d.DeviceKey}, d.Head
	default:
		return k, "", nil
	}
	if err != nil || len(k.Public) != ed25519.PublicKeySize || s.Type == canon.TypeDevice && s.Subject != string(canon.TypeDevice) {
		return k, "", fault.New(fault.Tampered, "replay", s.Subject, "malformed "+string(s.Type))
	}
	return k, ended, nil
}

// allEras returns the eras of the statements, reading them where Replay has not.
func (l *Ledger) allEras(ctx context.Context) ([]era, error) {
	l.mu.RLock()
	eras := l.eras
	l.mu.RUnlock()
	if eras != nil {
		return eras, nil
	}
	_, eras, err := l.statements(ctx, func(int64, Signed, []byte) error { return nil })
	return eras, err
}

// deviceAt returns the id of the device that wrote an event.
func (l *Ledger) deviceAt(index int64) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	id := l.o.Device.ID()
	for _, e := range l.eras {
		if e.from <= index {
			id = e.key.Device
		}
	}
	return id
}

// Owner returns the device that the statements of a store name last. Nothing of
// it is verified: a ledger opened with it as Options.From verifies, and a Replay.
func Owner(ctx context.Context, st store.Store) (Key, error) {
	var k Key
	err := st.Statements(ctx, 0, func(row store.Statement) error {
		s, err := canon.ParseStatement(row.Body)
		if err != nil {
			return fault.New(fault.Tampered, "replay", "", "statement is not what was written")
		}
		next, _, err := named(s)
		if next.Device != "" {
			k = next
		}
		return err
	})
	if err == nil && len(k.Public) != ed25519.PublicKeySize {
		err = fault.New(fault.Tampered, "replay", "", "there is no account in it")
	}
	return k, err
}
