package gate

import (
	"fmt"

	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

// enough refuses a kind of gesture that is less than a vault takes: before it costs
// anything, and while the request goes on waiting for a better one. The keyring
// refuses it too.
func enough(of *book.Book, kind canon.SlotKind, needs []string) error {
	switch kind {
	case "":
		kind = canon.SlotPresence
	case canon.SlotPresence, canon.SlotPIN, canon.SlotPasskey:
	default:
		return nil // no gesture at all, which is refused as that
	}
	r := of.Roster()
	for _, name := range needs {
		if r.Admits(kind, name) {
			continue
		}
		at := name
		if v, err := of.Vault("approve", name); err == nil {
			at = v.Title
		}
		return slot.TooWeak(at, r.Least[name])
	}
	return nil
}

// Met refuses what a vault shall take at least where no way into the account is so
// strong: nobody could open it.
func (b *Gate) Met(r open.Roster, vault string, least canon.Least) error {
	for kind, have := range map[canon.SlotKind]bool{canon.SlotPresence: r.HasPassphrase(), canon.SlotPIN: b.Chip.Has(r), canon.SlotPasskey: r.Passkeys()} {
		if have && least.Admits(kind) {
			return nil
		}
	}
	return fault.New(fault.Denied, "min-approval", vault, fmt.Sprintf("vault %q would open by %s, and there is none", vault, least.Said())).
		WithHint("add one first, with `thumbturn passkey add` or `thumbturn pin set`; or let the vault take less, with `thumbturn vault edit --min-approval`")
}

// Stranded refuses a roster by which a presence vault could not be opened any more
// that can be by the one before.
func (b *Gate) Stranded(old open.Roster, next canon.Roster) error {
	for _, v := range b.Book.Vaults() {
		if v.Tier != canon.TierPresence || b.Met(old, v.Title, v.MinApproval) != nil {
			continue
		}
		if err := b.Met(old.With(next), v.Title, v.MinApproval); err != nil {
			return err
		}
	}
	return nil
}

// Changed signs the roster that follows old. Where a way into presence vaults was left
// out of it, or replaced, these vaults get new keys, which it cannot reach; the gesture
// must have opened them. told says of how many vaults that is.
func (b *Gate) Changed(g *open.Gesture, old open.Roster, next canon.Roster) (list []ledger.Signed, told string, err error) {
	if err := b.Stranded(old, next); err != nil {
		return nil, "", err
	}
	next, vaults, err := g.Rotate(old, next, Signed(b.Book))
	if err != nil {
		return nil, "", err
	}
	if len(vaults) > 0 {
		told = fmt.Sprintf(", new keys of presence vaults: %d", len(vaults))
	}
	list, err = b.Rostered(g, old, next, vaults...)
	return list, told, err
}

// Rostered signs the roster that follows old, and the descriptors that go with it.
func (b *Gate) Rostered(g *open.Gesture, old open.Roster, next canon.Roster, vaults ...canon.Vault) ([]ledger.Signed, error) {
	s, err := b.Book.SignRoster(g.Root().Sign, old, next)
	list := []ledger.Signed{s}
	for _, v := range vaults {
		if err == nil {
			s, err = b.Book.Sign(g.Root().Sign, canon.TypeVault, v.ID, v)
			list = append(list, s)
		}
	}
	return list, err
}
