// Package audit reads a ledger for people and programs: events by filter, a check
// of everything, the export that strangers verify, anchors and proofs. It changes
// nothing.
package audit

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
	"github.com/thumbturn/thumbturn/ref"
)

// Reader reads one ledger.
type Reader struct {
	Ledger *ledger.Ledger
	Book   *book.Book
}

// opener opens event keys; it needs the session key.
func (a *Reader) opener(device string, blob []byte) (ledger.Opener, error) {
	return a.Book.Keys.EventReader(a.Book.Genesis(), device, blob)
}

// settle waits for what happened already and is not written yet. A ledger that takes
// nothing has nothing to wait for.
func (a *Reader) settle(ctx context.Context) { _ = a.Ledger.Flush(ctx) }

// Events hands out the events a filter selects, oldest first.
func (a *Reader) Events(ctx context.Context, f api.AuditFilter, each func(api.Event) error) error {
	if !a.Book.Keys.Unlocked() {
		return open.ErrLocked
	}
	a.settle(ctx)
	at, err := a.where(f)
	if err != nil {
		return err
	}
	sent, facts := 0, requestFacts{f: f, told: map[string]bool{}}
	return a.Ledger.Events(ctx, f.From, 0, a.opener, func(e ledger.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return fault.New(fault.Tampered, "audit", fmt.Sprint(e.N), "malformed event")
		}
		// These have to see every request, whatever else selects.
		told, there := facts.selects(ev), at.selects(ev)
		if !told || !there || !selects(f, ev) {
			return nil
		}
		if sent++; f.Limit > 0 && sent > f.Limit {
			return ledger.Stop
		}
		return each(api.Event{N: e.N, Leaf: e.Leaf.String(), Body: e.Body})
	})
}

func selects(f api.AuditFilter, ev canon.Event) bool {
	switch {
	case f.Caller != "" && ev.Kind != f.Caller,
		f.Agent != "" && ev.Agent != f.Agent,
		f.Type != "" && string(ev.Type) != f.Type,
		f.Outcome != "" && ev.Outcome != f.Outcome,
		f.Since != 0 && ev.Time < f.Since,
		f.Until != 0 && ev.Time >= f.Until:
		return false
	}
	return true
}

// where selects by vault and item. A decision names its request only: it goes
// with the request that came before it.
type where struct {
	vault string   // id; empty for all
	item  string   // as it was asked for; empty for all
	ids   []string // of the items that have this title or id now, or had it last
	told  map[string]bool
}

func (a *Reader) where(f api.AuditFilter) (w where, err error) {
	w = where{item: f.Item, told: map[string]bool{}}
	if f.Vault != "" {
		if w.vault, err = a.vaultID(f.Vault); err != nil {
			return w, err
		}
	}
	if f.Item != "" {
		w.ids, err = a.Book.Named(f.Item, func(canon.ItemHead) bool { return true })
	}
	return w, err
}

func (w where) selects(ev canon.Event) bool {
	if len(ev.Vaults) == 0 && w.told[ev.Request] {
		return true
	}
	if w.vault != "" && !slices.Contains(ev.Vaults, w.vault) {
		return false
	}
	if w.item != "" && !slices.ContainsFunc(ev.Items, func(id string) bool { return slices.Contains(w.ids, id) }) &&
		!slices.ContainsFunc(ev.Refs, func(r string) bool { return refNames(r, w.item) }) {
		return false
	}
	if ev.Request != "" {
		w.told[ev.Request] = true
	}
	return true
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
func (a *Reader) Verify(ctx context.Context) (api.Verified, error) {
	a.settle(ctx)
	head, note := a.Ledger.Head()
	out := api.Verified{Statements: head.Statements, Events: head.Events, Head: string(note)}
	problem := func(err error) {
		if err != nil {
			out.Problems = append(out.Problems, err.Error())
		}
	}
	if why := a.Ledger.Held(); why != "" {
		out.Problems = append(out.Problems, why)
	}
	fresh := &book.Book{Ledger: a.Ledger, Store: a.Book.Store, Keys: a.Book.Keys, Clock: a.Book.Clock, Rand: a.Book.Rand}
	err := fresh.Read(ctx)
	problem(err)
	if g := fresh.Genesis(); len(g.Root) > 0 {
		out.Root = canon.RootFingerprint(g.Root).String()
	}
	problem(a.Ledger.Leaves(ctx))
	if a.Book.Keys.Unlocked() {
		problem(a.Ledger.Events(ctx, 0, 0, a.opener, func(ledger.Event) error { return nil }))
	}
	if err != nil {
		return out, nil
	}
	return out, fresh.Records(ctx, func(h canon.Hash, ref string) error {
		n, err := a.Book.Check(ctx, h, ref)
		out.Blobs += n
		problem(err)
		return ctx.Err()
	})
}

// Export writes the ledger as lines that internal/proof verifies: the head,
// every statement, every event with its salt (spec/ledger.md).
func (a *Reader) Export(ctx context.Context, line func([]byte) error) error {
	if !a.Book.Keys.Unlocked() {
		return open.ErrLocked
	}
	a.settle(ctx)
	head, note := a.Ledger.Head()
	_, pub := a.Ledger.Key()
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
	err := a.Book.Store.Statements(ctx, 0, func(s store.Statement) error {
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
	return a.Ledger.Events(ctx, 0, head.Events, a.opener, func(e ledger.Event) error {
		return put(event{e.N, e.Leaf.String(), b64(e.Salt), b64(e.Body)})
	})
}

// Anchor returns the signed head to keep elsewhere.
func (a *Reader) Anchor() []byte {
	_, note := a.Ledger.Head()
	_, pub := a.Ledger.Key()
	b, _ := json.Marshal(struct {
		Anchor int    `json:"anchor"`
		Head   string `json:"head"`
		Key    string `json:"device_key"`
	}{1, string(note), base64.StdEncoding.EncodeToString(pub)})
	return b
}

// Proof returns the inclusion proof of one event: a receipt somebody can check
// without the ledger.
func (a *Reader) Proof(ctx context.Context, n int64) ([]byte, error) {
	if !a.Book.Keys.Unlocked() {
		return nil, open.ErrLocked
	}
	_, note, path, err := a.Ledger.Prove(n)
	if err != nil {
		return nil, err
	}
	_, pub := a.Ledger.Key()
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
	err = a.Ledger.Events(ctx, n, n+1, a.opener, func(e ledger.Event) error {
		out.Leaf, out.Salt, out.Body = e.Leaf.String(), base64.StdEncoding.EncodeToString(e.Salt), base64.StdEncoding.EncodeToString(e.Body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// vaultID is the id that events have of a vault: by name or id, and by id also where
// the vault is deleted.
func (a *Reader) vaultID(name string) (string, error) {
	for _, v := range a.Book.Descriptors() {
		if v.ID == name {
			return name, nil
		}
	}
	v, err := a.Book.Vault("audit list", name)
	if err != nil {
		return "", err
	}
	return v.ID, nil
}

// refNames reports whether a recorded reference is of an item of that title.
func refNames(text, item string) bool {
	r, err := ref.Parse(text)
	return err == nil && ref.Fold(r.Item) == ref.Fold(item)
}
