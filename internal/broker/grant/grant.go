// Package grant keeps the leave that a person gives an unattended job: these
// fields, to this program with these arguments in this directory, until then. A
// grant is a statement that the root key signed after a gesture; anybody may end
// one. It holds no key and no value: every use passes Release, and its intent
// names the grant.
package grant

import (
	"context"
	"fmt"
	"sync"

	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/ref"
)

// Keeper holds the releases of one account against its grants.
type Keeper struct {
	g      *gate.Gate
	create sync.Mutex // from the last look at a name to the grant that takes it; never while somebody waits

	mu    sync.Mutex
	spent map[string]int64 // by id: how many uses are surely gone; the store knows
}

// Office is what callers do with grants: make, list and revoke them.
type Office struct{ k *Keeper }

// New returns the grants behind a gate: for the waist, and for callers.
func New(g *gate.Gate) (*Keeper, *Office) {
	k := &Keeper{g: g, spent: map[string]int64{}}
	return k, &Office{k}
}

// Covering returns the grants that are for exactly this use. A known agent has
// none: grants are for jobs that nobody watches, and it has somebody to ask.
func (k *Keeper) Covering(who identity.Caller, u Use) []Grant {
	_, under := who.UnderAgent()
	if (under || who.Label() != "") && !k.g.Book.Genesis().TestHome {
		return nil
	}
	var out []Grant
	for _, g := range k.all() {
		if k.g.Book.Live(g.ID) && covers(g.Terms, who.UID(), u) && agrees(who.Evidence(), u.Place.Argv, g.Terms.Task) {
			out = append(out, g)
		}
	}
	return out
}

// Intend writes the intent of a release: where it rests on grants, under the
// first of them that has a use left, and takes that use in the same transaction.
func (k *Keeper) Intend(ctx context.Context, grants []Grant, ev canon.Event, request string) (ledger.Intent, error) {
	if len(grants) == 0 {
		return k.g.Book.Ledger.Intend(ctx, ev, request)
	}
	for _, g := range grants {
		if !k.g.Book.Live(g.ID) {
			continue // taken back just now
		}
		ev.Grant = g.ID
		in, err := k.spend(ctx, g, ev, request)
		if !fault.Is(err, fault.Conflict) {
			return in, err
		}
	}
	return ledger.Intent{}, fault.New(fault.Denied, "hold", "", "the grant is used up or ended").
		WithHint("`thumbturn grant list` shows it; a person makes another one")
}

// spend takes one use. A use is an id that the store consumes once in its life,
// so that no rollback of this process's memory gives one back. Which is the next
// is found by trying: after a start that takes as many tries as there were uses.
// Conflict means that none is left.
func (k *Keeper) spend(ctx context.Context, g Grant, ev canon.Event, request string) (ledger.Intent, error) {
	if g.Uses == 0 {
		return k.g.Book.Ledger.Intend(ctx, ev, request)
	}
	for n := k.gone(g.ID) + 1; n <= g.Uses; n++ {
		in, err := k.g.Book.Ledger.Intend(ctx, ev, request, fmt.Sprintf("grant/%s/%d", g.ID, n))
		if err == nil || fault.Is(err, fault.Conflict) {
			k.used(g.ID, n)
		}
		if !fault.Is(err, fault.Conflict) {
			return in, err
		}
	}
	return ledger.Intent{}, fault.New(fault.Conflict, "grant", g.ID, "it is used up")
}

func (k *Keeper) gone(id string) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.spent[id]
}

func (k *Keeper) used(id string, n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spent[id] = max(k.spent[id], n)
}

// RevokeGrant ends a grant by name or id. Ending is always safe, so anybody of
// this user may.
func (of *Office) RevokeGrant(ctx context.Context, who identity.Caller, name string) error {
	k := of.k
	if who.Kind() == identity.Nobody {
		return fault.New(fault.Denied, "grant revoke", "", "nobody asks")
	}
	var hit *Grant
	for _, g := range k.all() {
		if !g.Revoked && (g.ID == name || g.Terms.Name == name) && (hit == nil || !k.g.Book.Live(hit.ID)) {
			hit = &g
		}
	}
	if hit == nil {
		return fault.New(fault.NotFound, "grant revoke", name, "there is no such grant").WithHint("`thumbturn grant list` shows what there is")
	}
	ev := gate.Did(who, canon.EventWrite, "grant-revoke", "written", "", "", "")
	ev.Grant = hit.ID
	return k.end(ctx, *hit, ev)
}

// State says how a grant stands.
type State string

// The states of a grant.
const (
	Live    State = "live"
	Expired State = "expired"
	UsedUp  State = "used up" // as far as this start of the daemon has seen
	Revoked State = "revoked"
)

// Listed is a grant as it is shown.
type Listed struct {
	Grant
	State State
	Refs  []string
}

// Grants lists the grants, the revoked ones too where all is set, for whoever
// may list names. What a grant pins is for persons: to an agent it would say how
// to look like the job.
func (of *Office) Grants(ctx context.Context, who identity.Caller, all bool) ([]Listed, error) {
	k := of.k
	if err := k.g.Listing(who); err != nil {
		return nil, err
	}
	var out []Listed
	for _, g := range k.all() {
		if g.Revoked && !all {
			continue
		}
		l := Listed{Grant: g, State: k.state(g)}
		if who.Kind() != identity.Person {
			l.Terms = canon.GrantTerms{Name: g.Terms.Name}
		}
		for _, f := range l.Terms.Fields {
			l.Refs = append(l.Refs, k.reference(ctx, f))
		}
		out = append(out, l)
	}
	return out, nil
}

func (k *Keeper) state(g Grant) State {
	switch {
	case g.Revoked:
		return Revoked
	case !k.g.Book.Live(g.ID):
		return Expired
	case g.Uses > 0 && k.gone(g.ID) >= g.Uses:
		return UsedUp
	}
	return Live
}

// reference is a field's reference under its present names, and its ids where
// there is no such field any more.
func (k *Keeper) reference(ctx context.Context, f canon.GrantField) string {
	if it, err := k.g.Book.Item(ctx, f.Item); err == nil {
		for i := range it.Meta.Fields {
			if x := &it.Meta.Fields[i]; x.ID == f.Field && it.Vault.ID == f.Vault {
				r := ref.Ref{Vault: it.Vault.Title, Item: it.Meta.Title, Section: x.Section, Field: x.Label, Query: ref.Query(f.Form)}
				return r.String()
			}
		}
	}
	return f.Vault + "/" + f.Item + "/" + f.Field
}
