package slot

import (
	"errors"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// vaultAt is where a seed of a vault's present epoch lies, and where those before do.
func vaultAt(account string, v canon.Vault) (seed, past sealed.Context) {
	seed = sealed.Context{Type: sealed.TypeVaultSeed, Account: account, Vault: v.ID, Epoch: v.Epoch}
	past = seed
	past.Type = sealed.TypeVaultPast
	return seed, past
}

// VaultSeed opens the seed of one epoch of a presence vault with its compartment. It
// is the one whose public key the descriptor names, or nothing.
func (k *Maker) VaultSeed(account string, v canon.Vault, epoch int64, compartment Opener) (Lend, func(), error) {
	want, ok := v.Key(epoch)
	if !ok {
		return nil, nil, Tampered("epoch of a value in vault", v.ID)
	}
	at, past := vaultAt(account, v)
	ct, size, from := v.Seed, int64(sealed.SeedSize), int64(0)
	if epoch != v.Epoch {
		at, ct, size, from = past, v.Past.Seeds, (v.Epoch-1)*sealed.SeedSize, (epoch-1)*sealed.SeedSize
	}
	var l Lend
	var free func()
	err := compartment.Whole(at, ct, func(seeds []byte) (err error) {
		if int64(len(seeds)) != size {
			return ErrCipher
		}
		l, free, err = k.arena.Keep(append([]byte(nil), seeds[from:from+sealed.SeedSize]...))
		return err
	})
	if errors.Is(err, ErrCipher) {
		return nil, nil, Tampered("key of vault", v.ID)
	}
	if err != nil {
		return nil, nil, err
	}
	if pub, err := KEMPublic(l); err != nil || canon.VaultKey(pub) != want {
		free()
		return nil, nil, Tampered("key of vault", v.ID)
	}
	return l, free, nil
}

// NewEpoch gives a presence vault a fresh key pair: what is sealed to it from now on,
// no key opens that was reached before. The seeds of the epochs before go along,
// sealed with the new one to the public key of a new compartment; old opens them.
func (k *Maker) NewEpoch(account string, v canon.Vault, old Opener, compartment []byte) (canon.Vault, error) {
	if v.Epoch >= canon.MaxEpoch {
		return v, fault.New(fault.Unavailable, "rotate", v.ID, "this vault has had as many keys as a vault can have").
			WithHint("move its items to a new vault with `thumbturn item move`; `thumbturn recover` ends every way in all the same")
	}
	seeds, wipe, err := k.vaultSeeds(account, v, old)
	if err != nil {
		return v, err
	}
	defer wipe()
	fresh, free, err := k.Fresh()
	if err != nil {
		return v, err
	}
	defer free()
	past := &canon.Past{}
	for epoch := int64(1); epoch <= v.Epoch; epoch++ {
		name, _ := v.Key(epoch)
		past.Publics = append(past.Publics, name)
	}
	v.Epoch, v.Past = v.Epoch+1, past
	at, before := vaultAt(account, v)
	if v.Public, err = KEMPublic(fresh); err != nil {
		return v, err
	}
	if past.Seeds, err = sealed.Value(compartment, before, seeds); err != nil {
		return v, err
	}
	v.Seed, err = SealTo(compartment, at, fresh)
	return v, err
}

// Carried is a vault as it is, whose seeds are sealed to the public key of a new
// compartment; old opens them.
func (k *Maker) Carried(account string, v canon.Vault, old Opener, compartment []byte) (canon.Vault, error) {
	seeds, wipe, err := k.vaultSeeds(account, v, old)
	if err != nil {
		return v, err
	}
	defer wipe()
	at, before := vaultAt(account, v)
	last := len(seeds) - sealed.SeedSize
	if v.Past != nil {
		v.Past = &canon.Past{Publics: v.Past.Publics}
		if v.Past.Seeds, err = sealed.Value(compartment, before, seeds[:last]); err != nil {
			return v, err
		}
	}
	v.Seed, err = sealed.Value(compartment, at, seeds[last:])
	return v, err
}

// vaultSeeds opens the seeds of all epochs of a vault, one behind the other.
func (k *Maker) vaultSeeds(account string, v canon.Vault, old Opener) (seeds []byte, wipe func(), err error) {
	if v.Epoch < 1 || v.Epoch > canon.MaxEpoch {
		return nil, nil, Tampered("epoch of vault", v.ID)
	}
	if seeds, wipe, err = k.arena.Take(int(v.Epoch) * sealed.SeedSize); err != nil {
		return nil, nil, err
	}
	for epoch := int64(1); epoch <= v.Epoch; epoch++ {
		seed, free, err := k.VaultSeed(account, v, epoch, old)
		if err != nil {
			wipe()
			return nil, nil, err
		}
		_ = seed(func(s []byte) error { copy(seeds[(epoch-1)*sealed.SeedSize:], s); return nil })
		free()
	}
	return seeds, wipe, nil
}
