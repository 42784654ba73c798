package account

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/internal/book"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/store"
)

// opener opens event keys; it needs the session key.
func (a *Account) opener(blob []byte) (ledger.Opener, error) {
	return a.book.Keys.EventReader(a.book.Genesis(), blob)
}

// Events hands out the events a filter selects, oldest first.
func (a *Account) Events(ctx context.Context, f api.AuditFilter, each func(api.Event) error) error {
	if !a.book.Keys.Unlocked() {
		return open.ErrLocked
	}
	vault, item := f.Vault, f.Item
	if v, err := a.book.Vault("audit list", f.Vault); f.Vault != "" && err == nil {
		vault = v.ID
	}
	sent, facts := 0, requestFacts{f: f, told: map[string]bool{}}
	return a.ledger.Events(ctx, f.From, 0, a.opener, func(e ledger.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return fault.New(fault.Tampered, "audit", fmt.Sprint(e.N), "malformed event")
		}
		// The facts first: they have to see every request, whatever else selects.
		if !facts.selects(ev) || !selects(f, vault, item, ev) {
			return nil
		}
		if sent++; f.Limit > 0 && sent > f.Limit {
			return ledger.Stop
		}
		return each(api.Event{N: e.N, Leaf: e.Leaf.String(), Body: e.Body})
	})
}

func selects(f api.AuditFilter, vault, item string, ev canon.Event) bool {
	switch {
	case f.Caller != "" && ev.Kind != f.Caller,
		f.Agent != "" && ev.Agent != f.Agent,
		f.Type != "" && string(ev.Type) != f.Type,
		f.Outcome != "" && ev.Outcome != f.Outcome,
		f.Since != 0 && ev.Time < f.Since,
		f.Until != 0 && ev.Time >= f.Until,
		vault != "" && !slices.Contains(ev.Vaults, vault):
		return false
	}
	if item == "" {
		return true
	}
	return slices.Contains(ev.Items, item) || slices.ContainsFunc(ev.Refs, func(r string) bool { return book.RefNames(r, item) })
}

// requestFacts selects by what requests say of themselves. An outcome names its
// request only by its id: it goes with the request that came before it.
type requestFacts struct {
	f    api.AuditFilter
	told map[string]bool // ids of the requests that were selected
}

func (s requestFacts) selects(ev canon.Event) bool {
	if s.f.Principal == "" && s.f.Tenant == "" && s.f.Purpose == "" {
		return true
	}
	if len(ev.Raw) == 0 {
		return ev.Request != "" && s.told[ev.Request]
	}
	var r canon.Request
	if canon.Decode(ev.Raw, &r) != nil {
		return false
	}
	if s.f.Principal != "" && r.Principal.Value != s.f.Principal ||
		s.f.Tenant != "" && r.Tenant.Value != s.f.Tenant ||
		s.f.Purpose != "" && r.Purpose.Value != s.f.Purpose {
		return false
	}
	s.told[r.ID] = true
	return true
}

// Verify checks everything that can be checked: the chain and its signatures,
// the tree, every event that opens, and every record that a current manifest
// names. Problems are named, not raised, so that one does not hide another.
func (a *Account) Verify(ctx context.Context) (api.Verified, error) {
	head, note := a.ledger.Head()
	out := api.Verified{Statements: head.Statements, Events: head.Events, Head: string(note)}
	problem := func(err error) {
		if err != nil {
			out.Problems = append(out.Problems, err.Error())
		}
	}
	if why := a.ledger.Held(); why != "" {
		out.Problems = append(out.Problems, why)
	}
	fresh := &book.Book{Ledger: a.ledger, Store: a.o.Store, Keys: a.book.Keys, Clock: a.o.Clock, Rand: a.o.Rand}
	err := fresh.Read(ctx)
	problem(err)
	if g := fresh.Genesis(); len(g.Root) > 0 {
		out.Root = canon.RootFingerprint(g.Root).String()
	}
	problem(a.ledger.Leaves(ctx))
	if a.book.Keys.Unlocked() {
		problem(a.ledger.Events(ctx, 0, 0, a.opener, func(ledger.Event) error { return nil }))
	}
	if err != nil {
		return out, nil
	}
	return out, fresh.Records(ctx, func(h canon.Hash, ref string) error {
		n, err := a.book.Check(ctx, h, ref)
		out.Blobs += n
		problem(err)
		return ctx.Err()
	})
}

// Export writes the ledger as lines that internal/proof verifies: the head,
// every statement, every event with its salt (spec/ledger.md).
func (a *Account) Export(ctx context.Context, line func([]byte) error) error {
	if !a.book.Keys.Unlocked() {
		return open.ErrLocked
	}
	head, note := a.ledger.Head()
	_, pub := a.ledger.Key()
	b64 := base64.StdEncoding.EncodeToString
	put := func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return line(b)
	}
	type first struct {
		Export int    `json:"export"`
		Head   string `json:"head"`
		Key    string `json:"device_key"`
	}
	if err := put(first{1, string(note), b64(pub)}); err != nil {
		return err
	}
	type statement struct {
		N    int64  `json:"statement"`
		Link string `json:"link"`
		Body string `json:"body"`
		Sig  string `json:"sig"`
	}
	err := a.o.Store.Statements(ctx, 0, func(s store.Statement) error {
		if s.N >= head.Statements {
			return ledger.Stop
		}
		return put(statement{s.N, s.Link.String(), b64(s.Body), b64(s.Sig)})
	})
	if err != nil && err != ledger.Stop {
		return err
	}
	type event struct {
		N    int64  `json:"event"`
		Leaf string `json:"leaf"`
		Salt string `json:"salt"`
		Body string `json:"body"`
	}
	return a.ledger.Events(ctx, 0, head.Events, a.opener, func(e ledger.Event) error {
		return put(event{e.N, e.Leaf.String(), b64(e.Salt), b64(e.Body)})
	})
}

// Anchor returns the signed head to keep elsewhere.
func (a *Account) Anchor() []byte {
	_, note := a.ledger.Head()
	_, pub := a.ledger.Key()
	b, _ := json.Marshal(struct {
		Anchor int    `json:"anchor"`
		Head   string `json:"head"`
		Key    string `json:"device_key"`
	}{1, string(note), base64.StdEncoding.EncodeToString(pub)})
	return b
}

// Proof returns the inclusion proof of one event: a receipt somebody can check
// without the ledger.
func (a *Account) Proof(ctx context.Context, n int64) ([]byte, error) {
	if !a.book.Keys.Unlocked() {
		return nil, open.ErrLocked
	}
	_, note, path, err := a.ledger.Prove(n)
	if err != nil {
		return nil, err
	}
	_, pub := a.ledger.Key()
	out := struct {
		Proof int      `json:"proof"`
		N     int64    `json:"event"`
		Leaf  string   `json:"leaf"`
		Salt  string   `json:"salt"`
		Body  string   `json:"body"`
		Path  []string `json:"path"`
		Head  string   `json:"head"`
		Key   string   `json:"device_key"`
	}{Proof: 1, N: n, Head: string(note), Key: base64.StdEncoding.EncodeToString(pub), Path: []string{}}
	for _, h := range path {
		out.Path = append(out.Path, hex.EncodeToString(h[:]))
	}
	err = a.ledger.Events(ctx, n, n+1, a.opener, func(e ledger.Event) error {
		out.Leaf, out.Salt, out.Body = e.Leaf.String(), base64.StdEncoding.EncodeToString(e.Salt), base64.StdEncoding.EncodeToString(e.Body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
