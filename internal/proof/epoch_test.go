package proof_test

import (
	"github.com/thumbturn/thumbturn/internal/canon"
)

const guardedID = "0123456789abcdefghjkmnpqrp"

// guarded is a presence vault's descriptor of an epoch, whose keys before are those of
// the epochs before.
func guarded(epoch int64) canon.Vault {
	public := func(n int64) canon.Bytes { return canon.Bytes{'k', byte(n)} }
	v := canon.Vault{V: 1, ID: guardedID, Epoch: epoch, Tier: canon.TierPresence, MinApproval: canon.LeastPresence, Public: public(epoch),
		IndexHash: sum("index"), Members: []canon.Member{{Name: "me"}}}
	if epoch > 1 {
		v.Past = &canon.Past{Seeds: make(canon.Bytes, 3+1120+32*(epoch-1)+16)}
	}
	for n := range epoch - 1 {
		v.Past.Publics = append(v.Past.Publics, canon.VaultKey(public(n+1)))
	}
	return v
}

// within is a manifest of a presence vault, in an epoch, that names records of others.
func within(epoch int64, records ...int64) canon.Item {
	m := manifest("guarded", canon.StateCurrent, len(records))
	m.Vault, m.Epoch = guardedID, epoch
	for i, e := range records {
		m.Records[i].Field, m.Records[i].Epoch = string(rune('a'+i)), e
	}
	return m
}

// generateEpochs are ledgers with a vault whose keys change, and what a holder of the
// root key, or a writer of the database, would like to make of it.
func generateEpochs(add adder) {
	const id = "0123456789abcdefghjkmnpqrn"
	ledger := func(name, want string, steps ...any) {
		l := sample(2)
		for _, s := range steps {
			switch s := s.(type) {
			case canon.Vault:
				l.sign(canon.TypeVault, s.ID, s)
			case canon.Item:
				l.put(l.next(canon.TypeItem, id, s), nil)
			}
		}
		add(name, want, l.lines())
	}
	vaults := func(n int64) (all []any) {
		for i := range n {
			all = append(all, guarded(i+1))
		}
		return all
	}
	after := func(n int64, more ...any) []any { return append(vaults(n), more...) }
	waiting := within(1, 1)
	waiting.Pending = &canon.Proposal{Values: []canon.FieldHash{{Field: "a", Revision: 2, Epoch: 2, Hash: sum("w")}}, Writer: "agent"}
	ledger("ok-epoch", "ok", after(3, within(3, 1, 3, 2))...)
	ledger("ok-epoch-kept", "ok", guarded(1), within(1, 1), guarded(2), within(2, 1), within(2, 1, 2))
	ledger("ok-epoch-waiting", "ok", after(2, within(1, 1), waiting)...)
	stays := guarded(2)
	stays.MinApproval, stays.Seed = canon.LeastPasskey, canon.Bytes("sealed anew")
	ledger("ok-epoch-stays", "ok", after(2, stays)...)

	change := func(epoch int64, how func(*canon.Vault)) canon.Vault {
		v := guarded(epoch)
		how(&v)
		return v
	}
	ledger("parent-epoch-first", "parent", guarded(2))
	ledger("parent-epoch-zero", "parent", change(1, func(v *canon.Vault) { v.Epoch = 0 }))
	ledger("parent-epoch-lowered", "parent", after(2, guarded(1))...)
	ledger("parent-epoch-skipped", "parent", after(1, guarded(3))...)
	ledger("parent-epoch-past-dropped", "parent", after(2, change(3, func(v *canon.Vault) { v.Past.Publics = v.Past.Publics[1:] }))...)
	ledger("parent-epoch-past-none", "parent", after(1, change(2, func(v *canon.Vault) { v.Past = nil }))...)
	ledger("parent-epoch-past-in-the-first", "parent", change(1, func(v *canon.Vault) { v.Past = &canon.Past{Seeds: make(canon.Bytes, 3+1120+16)} }))
	ledger("parent-epoch-past-swapped", "parent", after(2, change(3, func(v *canon.Vault) {
		v.Past.Publics[0], v.Past.Publics[1] = v.Past.Publics[1], v.Past.Publics[0]
	}))...)
	ledger("parent-epoch-past-other", "parent", after(1, change(2, func(v *canon.Vault) { v.Past.Publics[0] = sum("other") }))...)
	ledger("parent-epoch-seeds-short", "parent", after(2, change(3, func(v *canon.Vault) { v.Past.Seeds = v.Past.Seeds[32:] }))...)
	ledger("parent-epoch-key-kept", "parent", after(1, change(2, func(v *canon.Vault) { v.Public = guarded(1).Public }))...)
	ledger("parent-epoch-key-back", "parent", after(2, change(3, func(v *canon.Vault) { v.Public = guarded(1).Public }))...)
	ledger("parent-epoch-key-exchanged", "parent", after(2, change(2, func(v *canon.Vault) { v.Public = canon.Bytes("other") }))...)
	ledger("parent-epoch-index", "parent", after(1, change(2, func(v *canon.Vault) { v.IndexHash = sum("other") }))...)
	ledger("parent-epoch-tier", "parent", after(1, change(1, func(v *canon.Vault) { v.Tier = canon.TierStandard }))...)
	ledger("parent-epoch-standard", "parent", change(1, func(v *canon.Vault) { v.Tier = canon.TierStandard }),
		change(2, func(v *canon.Vault) { v.Tier = canon.TierStandard }))
	ledger("parent-epoch-of-a-record-ahead", "parent", after(2, within(2, 1, 3))...)
	ledger("parent-epoch-of-a-record-waiting-ahead", "parent", after(1, within(1, 1), waiting)...)
	ledger("parent-epoch-past-empty", "parent", after(1, change(2, func(v *canon.Vault) { v.Past.Publics = nil }))...)
}
