package spec_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// epochVector is a presence vault after some epochs, and a value of one of them.
type epochVector struct {
	Name        string      `json:"name"`
	Compartment canon.Bytes `json:"compartment"` // its seed
	Vault       canon.Vault `json:"vault"`
	Context     place       `json:"context"`
	Bytes       canon.Bytes `json:"bytes"`
	Text        string      `json:"text,omitempty"`
	Want        string      `json:"want"`
}

// vaultKey is H(VAULT, public key), by this page alone.
func vaultKey(public []byte) canon.Hash {
	return sha256.Sum256(append([]byte("thumbturn/vault-key/v1\x00"), public...))
}

// openEpoch opens a value by record.md §7.1: the seed of its epoch and no other.
func openEpoch(compartment []byte, v canon.Vault, p place, ct []byte) ([]byte, error) {
	at := place{Type: "vault-seed", Account: p.Account, Vault: v.ID, Epoch: v.Epoch}
	want, seed := vaultKey(v.Public), []byte(nil)
	switch n := p.Epoch; {
	case n == v.Epoch:
		s, err := openValue(compartment, at, v.Seed)
		if err != nil {
			return nil, err
		}
		seed = s
	case n < 1 || n > v.Epoch || v.Past == nil || int64(len(v.Past.Publics)) != v.Epoch-1:
		return nil, errRecord
	default:
		at.Type = "vault-past"
		s, err := openValue(compartment, at, v.Past.Seeds)
		if err != nil {
			return nil, err
		}
		if int64(len(s)) != 32*(v.Epoch-1) {
			return nil, errRecord
		}
		want, seed = v.Past.Publics[n-1], s[32*(n-1):32*n]
	}
	key, err := sealed.KEM().NewPrivateKey(seed)
	if err != nil || vaultKey(key.PublicKey().Bytes()) != want {
		return nil, errRecord
	}
	return openValue(seed, p, ct)
}

func makeEpochs(t *testing.T) []epochVector {
	seed := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	public := func(b byte) []byte {
		key, err := sealed.KEM().NewPrivateKey(seed(b))
		if err != nil {
			t.Fatal(err)
		}
		return key.PublicKey().Bytes()
	}
	seal := func(to []byte, p place, text []byte) []byte {
		ct, err := sealed.Value(to, context(p), text)
		if err != nil {
			t.Fatal(err)
		}
		return ct
	}
	const box = 9 // the compartment's seed
	at := place{Type: "vault-seed", Account: account, Vault: vaultID, Epoch: 3}
	past := place{Type: "vault-past", Account: account, Vault: vaultID, Epoch: 3}
	v := canon.Vault{V: 1, ID: vaultID, Epoch: 3, Tier: canon.TierPresence, MinApproval: canon.LeastPasskey, Public: public(3), Seed: seal(public(box), at, seed(3)),
		Past: &canon.Past{Publics: []canon.Hash{vaultKey(public(1)), vaultKey(public(2))}, Seeds: seal(public(box), past, append(seed(1), seed(2)...))}}
	var out []epochVector
	value := func(epoch int64) epochVector {
		p := place{Type: "value", Account: account, Vault: vaultID, Epoch: epoch, Item: itemID, Field: "token", Revision: 1}
		text := "of epoch " + string(rune('0'+epoch))
		return epochVector{Name: text, Compartment: seed(box), Vault: v, Context: p, Bytes: seal(public(byte(epoch)), p, []byte(text)), Text: text, Want: "ok"}
	}
	for epoch := int64(1); epoch <= 3; epoch++ {
		out = append(out, value(epoch))
	}
	change := func(name, want string, how func(*epochVector)) {
		x := value(1)
		x.Vault.Past = &canon.Past{Publics: slices.Clone(v.Past.Publics), Seeds: v.Past.Seeds}
		how(&x)
		x.Name, x.Want, x.Text = name, want, ""
		out = append(out, x)
	}
	change("as of another epoch", "open", func(x *epochVector) { x.Context.Epoch = 2 })
	change("as of an epoch to come", "record", func(x *epochVector) { x.Context.Epoch = 4 })
	change("as of none", "record", func(x *epochVector) { x.Context.Epoch = 0 })
	change("seeds swapped", "record", func(x *epochVector) { x.Vault.Past.Seeds = seal(public(box), past, append(seed(2), seed(1)...)) })
	change("a seed missing", "record", func(x *epochVector) { x.Vault.Past.Seeds = seal(public(box), past, seed(1)) })
	change("seeds of another epoch", "open", func(x *epochVector) {
		p := past
		p.Epoch = 2
		x.Vault.Past.Seeds = seal(public(box), p, append(seed(1), seed(2)...))
	})
	change("a name missing", "record", func(x *epochVector) { x.Vault.Past.Publics = x.Vault.Past.Publics[1:] })
	change("names swapped", "record", func(x *epochVector) { slices.Reverse(x.Vault.Past.Publics) })
	change("none of before", "record", func(x *epochVector) { x.Vault.Past = nil })
	change("the compartment of before", "open", func(x *epochVector) { x.Compartment = seed(8) })
	return out
}

// TestVectorEpochs opens values of several epochs of one vault.
func TestVectorEpochs(t *testing.T) {
	if *update {
		cryptotest.SetGlobalRandom(t, 3)
	}
	refused := 0
	for _, v := range vectors(t, "record/epochs.json", func() []epochVector { return makeEpochs(t) }) {
		if v.Want != "ok" {
			refused++
		}
		text, err := openEpoch(v.Compartment, v.Vault, v.Context, v.Bytes)
		if got := class(err); got != v.Want || string(text) != v.Text {
			t.Errorf("%s: %s, %q; want %s", v.Name, got, text, v.Want)
		}
	}
	if refused < 8 {
		t.Errorf("%d refused", refused)
	}
}
