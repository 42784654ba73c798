package proof

import (
	"bytes"
	"slices"
)

// The bounds of a vault's keys (spec/record.md): epochs, and the length of so many
// seeds, sealed: leading bytes, encapsulated key, seeds, tag.
const maxEpoch = 1000

func pastSize(epochs int) int { return 3 + 1120 + 32*epochs + 16 }

// keys names the public keys that a vault had before the present one.
func (v vault) keys() []hash {
	if v.Past == nil {
		return nil
	}
	return v.Past.Publics
}

// follows reports whether a descriptor may come after another of its vault, the zero
// one for the first; where not, why. Its keys go on, and none is left out.
func (v vault) follows(old vault, known bool) string {
	keys := v.keys()
	switch {
	case v.Epoch < 1 || v.Epoch > maxEpoch || int64(len(keys)) != v.Epoch-1 || (v.Past == nil) != (v.Epoch == 1):
		return "the vault's epoch is not that of its keys"
	case v.Past != nil && (v.Tier != "presence" || len(v.Past.Seeds) != pastSize(len(keys))):
		return "the vault's past keys are not all there"
	case !known && v.Epoch != 1:
		return "a vault does not begin with its first epoch"
	case !known:
		return ""
	case v.Tier != old.Tier || v.IndexHash != old.IndexHash:
		return "the vault's tier, or its index key, changed"
	case v.Epoch != old.Epoch && v.Epoch != old.Epoch+1:
		return "the vault's epochs do not go on one by one"
	case v.Epoch == old.Epoch && !bytes.Equal(v.Public, old.Public):
		return "the vault has another key in the same epoch"
	}
	want := slices.Clone(old.keys())
	if v.Epoch > old.Epoch {
		want = append(want, digest(domainVaultKey, old.Public))
		if slices.Contains(want, hash(digest(domainVaultKey, v.Public))) {
			return "the vault's new key is one that it had before"
		}
	}
	if !slices.Equal(keys, want) {
		return "the vault's past keys are not those that it had"
	}
	return ""
}

// newest is the highest epoch of a manifest and of all that it names.
func (p item) newest() int64 {
	epoch := p.Epoch
	for _, r := range p.Records {
		epoch = max(epoch, r.Epoch)
	}
	if p.Pending != nil {
		for _, r := range p.Pending.Values {
			epoch = max(epoch, r.Epoch)
		}
	}
	return epoch
}
