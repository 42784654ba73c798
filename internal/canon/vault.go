package canon

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
)

// MaxEpoch bounds the epochs of a vault: each descriptor names all keys that the
// vault had before, and statements are kept for ever.
const MaxEpoch = 1000

// Past are the keys that a vault had before the present one, that of epoch 1 first.
// Values that were sealed to them lie under them still.
type Past struct {
	Publics []Hash `json:"publics"` // VaultKey of each
	Seeds   Bytes  `json:"seeds"`   // one behind the other, sealed to the compartment
}

// VaultKey names a vault's public key.
func VaultKey(public []byte) Hash { return Digest(DomainVaultKey, public) }

// pastSize is the length of so many seeds, sealed: leading bytes, encapsulated key,
// seeds, tag (spec/record.md). So none can be left out unseen.
func pastSize(epochs int) int { return 3 + 1120 + 32*epochs + 16 }

// Key names the public key of an epoch; false for one that the vault did not have.
func (v Vault) Key(epoch int64) (Hash, bool) {
	switch {
	case epoch == v.Epoch:
		return VaultKey(v.Public), true
	case epoch < 1 || epoch > v.Epoch || v.Past == nil || epoch > int64(len(v.Past.Publics)):
		return Hash{}, false
	}
	return v.Past.Publics[epoch-1], true
}

// publics are the keys that a vault had before the present one.
func (v Vault) publics() []Hash {
	if v.Past == nil {
		return nil
	}
	return v.Past.Publics
}

// Follows checks that a descriptor may come after another of its vault, nil for the
// first: the keys go on, and none that a value may lie under is left out.
func (v Vault) Follows(old *Vault) error {
	keys := v.publics()
	switch {
	case v.Epoch < 1 || v.Epoch > MaxEpoch || int64(len(keys)) != v.Epoch-1 || (v.Past == nil) != (v.Epoch == 1):
		return errors.New("canon: the vault's epoch is not that of its keys")
	case v.Past != nil && (v.Tier != TierPresence || len(v.Past.Seeds) != pastSize(len(keys))):
		return errors.New("canon: the vault's past keys are not all there")
	case old == nil && v.Epoch != 1:
		return errors.New("canon: a vault begins with its first epoch")
	case old == nil:
		return nil
	case v.Tier != old.Tier || v.IndexHash != old.IndexHash:
		return errors.New("canon: a vault's tier and index key stay")
	}
	want := old.publics()
	switch v.Epoch {
	case old.Epoch:
		if !bytes.Equal(v.Public, old.Public) {
			return errors.New("canon: the vault has another key in the same epoch")
		}
	case old.Epoch + 1:
		want = append(slices.Clone(want), VaultKey(old.Public))
		if slices.Contains(want, VaultKey(v.Public)) {
			return errors.New("canon: the vault's new key is one that it had before")
		}
	default:
		return errors.New("canon: a vault's epochs go on one by one")
	}
	if !slices.Equal(keys, want) {
		return errors.New("canon: the vault's past keys are not those that it had")
	}
	return nil
}

// newestEpoch is the highest epoch that a manifest's records, from there on, were
// sealed in; 0 where it names none. Inside a JSON string the mark that it looks for
// would have its quotation marks escaped.
func newestEpoch(records []byte) (newest int64, err error) {
	const mark = `,"epoch":`
	for {
		i := bytes.Index(records, []byte(mark))
		if i < 0 {
			return newest, nil
		}
		text, rest, _ := bytes.Cut(records[i+len(mark):], []byte(","))
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return 0, errors.New("canon: not an item manifest")
		}
		newest, records = max(newest, n), rest
	}
}
