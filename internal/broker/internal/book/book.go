// Package book is what the statements say, replayed into memory: the account,
// its slots, its vaults, the latest manifest of every item, and the policy. The
// tables of the store are indexes; this is the truth they are held against.
//
// A book is filled at unlock and emptied at lock. What decides who may do what
// counts only with the root key's signature.
package book

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/open"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
	"github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/internal/sealed"
	"github.com/thumbturn/thumbturn/internal/store"
)

// Book is the account in memory. Its parts are set once, by whoever makes it.
type Book struct {
	Ledger *ledger.Ledger
	Store  store.Store
	Keys   *open.Keyring
	Share  open.Share
	Clock  approve.Clock
	Rand   io.Reader

	locks
	genesis canon.Genesis
	roster  open.Roster
	vaults  map[string]*Vault
	items   map[string]*entry
	policy  *policy.Set
	grants  map[string]leave
	titles  map[string]map[canon.Hash][]string // by vault: title tag to item ids
	opened  map[string]*Item                   // lately opened, by id; good while the version is the latest
}

type locks struct {
	turn sync.RWMutex // held to write what is sealed to a vault's key, and alone to change that; before mu
	mu   sync.RWMutex
}

// Vault is a vault with its name opened.
type Vault struct {
	canon.Vault
	Title   string
	Version int64
	Items   int
}

// entry is the latest manifest of an item: the payload as written, and what
// replay read of it.
type entry struct {
	id      string
	version int64
	head    canon.ItemHead
	payload []byte
}

// Genesis returns the account's first statement; the zero value when there is
// no account.
func (b *Book) Genesis() canon.Genesis {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.genesis
}

// Roster returns the current roster.
func (b *Book) Roster() open.Roster {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.roster
}

// SettingPage is the setting that says where the approval page is: its origin.
const SettingPage = "page"

// Policy returns the policy in force; nil denies everything.
func (b *Book) Policy() *policy.Set {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.policy
}

// Now is the time on the wall.
func (b *Book) Now() time.Time { return b.Clock.Now() }

// Place describes the account for opening slots.
func (b *Book) Place() open.Place {
	g := b.Genesis()
	return open.Place{Account: g.Account, Device: b.Ledger.Device(), Root: canon.RootFingerprint(g.Root), TestHome: g.TestHome, Created: b.Now().UnixMilli()}
}

// Load replays the statements into a fresh state, for the ledger too. It needs no
// key; Opened does the rest once the session key is there. Nobody may write
// meanwhile.
func (b *Book) Load(ctx context.Context) error {
	if err := b.read(ctx, b.Ledger.Replay); err != nil {
		return err
	}
	return b.Ledger.SetRoster(b.Roster().Version)
}

// Read fills a book of its own from the statements under the present head, and
// changes nothing of the ledger: others may write meanwhile.
func (b *Book) Read(ctx context.Context) error { return b.read(ctx, b.Ledger.Statements) }

func (b *Book) read(ctx context.Context, walk func(context.Context, func(int64, ledger.Signed, []byte) error) error) error {
	n := &Book{Clock: b.Clock, grants: map[string]leave{}, vaults: map[string]*Vault{}, items: map[string]*entry{}, titles: map[string]map[canon.Hash][]string{}}
	if err := walk(ctx, n.take); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.genesis, b.roster, b.vaults, b.items, b.titles = n.genesis, n.roster, n.vaults, n.items, n.titles
	b.policy, b.grants, b.opened = n.policy, n.grants, nil
	return nil
}

func bad(ref, what string) error { return fault.New(fault.Tampered, "replay", ref, what) }

// take applies one statement. Caller holds no lock on a book in use.
func (b *Book) take(n int64, s ledger.Signed, body []byte) error {
	if n == 0 {
		return b.takeGenesis(s, body)
	}
	signed := len(s.Sig) > 0 && ed25519.Verify(ed25519.PublicKey(b.genesis.Root), canon.SigningBytes(body), s.Sig)
	if len(s.Sig) > 0 && !signed {
		return bad(s.Subject, "signature is not of this account")
	}
	if s.Type == canon.TypeItem {
		return b.takeItem(s, signed)
	}
	if s.Type == canon.TypeGrant {
		return b.takeGrant(s, signed)
	}
	if !signed {
		return bad(s.Subject, "a statement that decides is not signed")
	}
	switch s.Type {
	case canon.TypeRoster:
		var r canon.Roster
		if err := canon.Decode(s.Payload, &r); err != nil {
			return bad(s.Subject, "malformed roster")
		}
		b.roster = open.Roster{Roster: r, Version: s.Version, Page: b.roster.Page, Least: b.roster.Least}
	case canon.TypeVault:
		return b.takeVault(s)
	case canon.TypePolicy:
		var p canon.Policy
		if err := canon.Decode(s.Payload, &p); err != nil {
			return bad(s.Subject, "malformed policy")
		}
		set, err := policy.Load("applied policy", p.Text)
		if err != nil {
			return bad(s.Subject, "the applied policy does not load")
		}
		b.policy = set
	case canon.TypeSetting:
		var x canon.Setting
		if err := canon.Decode(s.Payload, &x); err != nil || x.Name != s.Subject {
			return bad(s.Subject, "malformed setting")
		}
		if x.Name == SettingPage {
			b.roster.Page = x.Value
		}
	case canon.TypeDevice: // the ledger knows its devices
	default:
		return bad(s.Subject, "unexpected statement")
	}
	return nil
}

// takeVault applies a descriptor, if its keys go on from those before.
func (b *Book) takeVault(s ledger.Signed) error {
	var v canon.Vault
	if err := canon.Decode(s.Payload, &v); err != nil || v.ID != s.Subject {
		return bad(s.Subject, "malformed vault descriptor")
	}
	next := &Vault{Vault: v, Version: s.Version}
	var before *canon.Vault
	if old := b.vaults[v.ID]; old != nil {
		next.Items, before = old.Items, &old.Vault
	}
	if err := v.Follows(before); err != nil {
		return bad(s.Subject, err.Error())
	}
	b.vaults[v.ID], b.roster = next, b.roster.Takes(v)
	return nil
}

func (b *Book) takeGenesis(s ledger.Signed, body []byte) error {
	if s.Type != canon.TypeGenesis || canon.Decode(s.Payload, &b.genesis) != nil || s.Subject != b.genesis.Account || len(b.genesis.Root) != ed25519.PublicKeySize {
		return bad("0", "the first statement is no genesis")
	}
	if !ed25519.Verify(ed25519.PublicKey(b.genesis.Root), canon.SigningBytes(body), s.Sig) {
		return bad("0", "the genesis is not signed by its own root key")
	}
	return nil
}

// takeItem applies an item manifest. A change of title, binding, vault or state
// of an item that holds a value counts only when the root key signed it.
func (b *Book) takeItem(s ledger.Signed, signed bool) error {
	h, err := canon.ReadItemHead(s.Payload)
	if err != nil {
		return bad(s.Subject, "malformed manifest")
	}
	v := b.vaults[h.Vault]
	if v == nil || h.Epoch > v.Epoch || h.Newest > v.Epoch {
		return bad(s.Subject, "the item's vault, or its epoch, is unknown")
	}
	old := b.items[s.Subject]
	if old != nil && old.head.NeedsRoot(h) && !signed {
		return bad(s.Subject, "title, binding or state changed without a gesture")
	}
	if old != nil {
		b.untitle(old)
	}
	e := &entry{id: s.Subject, version: s.Version, head: h, payload: s.Payload}
	b.items[s.Subject] = e
	if h.State == canon.StateCurrent {
		b.title(e)
	}
	return nil
}

func (b *Book) title(e *entry) {
	t := b.titles[e.head.Vault]
	if t == nil {
		t = map[canon.Hash][]string{}
		b.titles[e.head.Vault] = t
	}
	t[e.head.Title] = append(t[e.head.Title], e.id)
	b.vaults[e.head.Vault].Items++
}

func (b *Book) untitle(e *entry) {
	if e.head.State != canon.StateCurrent {
		return
	}
	ids := b.titles[e.head.Vault][e.head.Title]
	for i, id := range ids {
		if id == e.id {
			b.titles[e.head.Vault][e.head.Title] = append(ids[:i:i], ids[i+1:]...)
			b.vaults[e.head.Vault].Items--
			return
		}
	}
}

// Opened opens the vaults' keys and names after the session key opened. What
// does not open, or is not what the descriptor commits to, is fault.Tampered.
func (b *Book) Opened() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.vaults {
		if err := b.openVault(v); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) openVault(v *Vault) error {
	if v.Deleted {
		return nil
	}
	if err := b.Keys.AddVault(v.Vault, b.genesis.Account); err != nil {
		return err
	}
	ctx := sealed.Context{Type: sealed.TypeVaultName, Account: b.genesis.Account, Vault: v.ID, Epoch: sealed.IndexEpoch}
	name, err := b.Keys.Meta(ctx, v.Name)
	v.Title = string(name)
	return err
}

// SetGenesis sets what is known of the account before unlock.
func (b *Book) SetGenesis(g canon.Genesis) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.genesis = g
}

// Reset makes an empty book ready for its first statements.
func (b *Book) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vaults, b.items, b.titles, b.opened = map[string]*Vault{}, map[string]*entry{}, map[string]map[canon.Hash][]string{}, nil
	b.grants = map[string]leave{}
}

// Descriptors returns the vaults in order of their ids; names may be unopened.
func (b *Book) Descriptors() []Vault {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []Vault
	for _, v := range b.vaults {
		out = append(out, *v)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// Records hands out the hash of everything the latest manifests name.
func (b *Book) Records(ctx context.Context, each func(h canon.Hash, ref string) error) error {
	b.mu.RLock()
	entries := slices.SortedFunc(maps.Values(b.items), func(x, y *entry) int { return strings.Compare(x.id, y.id) })
	b.mu.RUnlock()
	for _, e := range entries {
		var m canon.Item
		if err := canon.Decode(e.payload, &m); err != nil {
			return bad(e.id, "malformed manifest")
		}
		for _, r := range append([]canon.FieldHash{{Field: "metadata", Hash: m.Meta}}, m.Values()...) {
			if err := each(r.Hash, "item "+e.id+" "+r.Field); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close forgets what the book holds, at lock.
func (b *Book) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vaults, b.items, b.titles, b.policy, b.opened, b.grants = nil, nil, nil, nil, nil, nil
}

// Write appends signed statements with blobs and events, and applies them to
// the book once they are durable.
func (b *Book) Write(ctx context.Context, e ledger.Entry) (ledger.Receipt, error) {
	if slices.ContainsFunc(e.Statements, func(s ledger.Signed) bool { return s.Type == canon.TypeVault }) {
		b.turn.Lock()
		defer b.turn.Unlock()
	}
	return b.write(ctx, e)
}

func (b *Book) write(ctx context.Context, e ledger.Entry) (ledger.Receipt, error) {
	r, err := b.Ledger.Append(ctx, e)
	if err != nil {
		return r, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range e.Statements {
		if err := b.take(r.Statement+int64(i), s, s.Body()); err != nil {
			return r, err
		}
		if s.Type == canon.TypeRoster {
			if err := b.Ledger.SetRoster(s.Version); err != nil {
				return r, err
			}
		}
		if s.Type == canon.TypeVault {
			if err := b.openVault(b.vaults[s.Subject]); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// Next lays out the statement that follows a subject's latest one.
func (b *Book) Next(t canon.Type, subject string, payload any) canon.Statement {
	s := canon.Statement{Type: t, Subject: subject, Payload: canon.Encode(payload)}
	v, h := b.Ledger.Version(s.Key())
	s.Version, s.Parent = v+1, h
	return s
}

// next lays out the manifest that follows the one an item was read with. One that
// was written meanwhile is not overwritten by what came before it.
func (b *Book) next(it *Item, m canon.Item) (canon.Statement, error) {
	s := b.Next(canon.TypeItem, it.ID, m)
	if s.Version != it.Version+1 {
		return s, fault.New(fault.Conflict, "item", it.ID, "it was written meanwhile").WithHint("look at it, and do it again")
	}
	return s, nil
}

// SignRoster signs the roster that follows old. One that was written meanwhile, by
// a new vault or a changed passphrase, is not overwritten.
func (b *Book) SignRoster(root func([]byte) ([]byte, error), old open.Roster, next canon.Roster) (ledger.Signed, error) {
	s, err := b.Sign(root, canon.TypeRoster, "roster", next)
	if err == nil && s.Version != old.Version+1 {
		return s, fault.New(fault.Conflict, "roster", "", "passphrases or vaults were changed meanwhile").WithHint("do it again")
	}
	return s, err
}

// Sign lays out the next statement and signs it.
func (b *Book) Sign(root func([]byte) ([]byte, error), t canon.Type, subject string, payload any) (ledger.Signed, error) {
	s := b.Next(t, subject, payload)
	sig, err := root(s.Body())
	return ledger.Signed{Statement: s, Sig: sig}, err
}

// blob makes a content-addressed blob.
func blob(kind store.BlobKind, vault, item string, b []byte) (store.Blob, canon.Hash) {
	h := sha256.Sum256(b)
	return store.Blob{Hash: store.Hash(h), Kind: kind, Vault: vault, Item: item, Bytes: b}, canon.Hash(h)
}

// Fetch reads one blob and checks that it is the one named.
func (b *Book) Fetch(ctx context.Context, h canon.Hash, ref string) ([]byte, error) {
	out, err := b.Raw(ctx, h, ref)
	if err == nil && canon.Hash(sha256.Sum256(out)) != h {
		return nil, fault.New(fault.Tampered, "open", ref, "its record is not the one the manifest names")
	}
	return out, err
}

// Check fetches a blob and, where it is a list, all pieces that it names, and
// returns how many blobs that were.
func (b *Book) Check(ctx context.Context, h canon.Hash, ref string) (int64, error) {
	record, err := b.Fetch(ctx, h, ref)
	if err != nil || !sealed.IsList(record) {
		return 1, err
	}
	_, names, err := sealed.List(record)
	if err != nil {
		return 1, bad(ref, "malformed list of pieces")
	}
	for _, n := range names {
		if _, err := b.Fetch(ctx, n, ref); err != nil {
			return 1, err
		}
	}
	return 1 + int64(len(names)), nil
}

// Raw reads one blob, for those who check it themselves.
func (b *Book) Raw(ctx context.Context, h canon.Hash, ref string) ([]byte, error) {
	var out []byte
	err := b.Store.Blobs(ctx, []store.Hash{store.Hash(h)}, func(x store.Blob) error {
		out = x.Bytes
		return nil
	})
	if err != nil {
		if fault.Is(err, fault.Tampered) {
			return nil, fault.New(fault.Tampered, "open", ref, "its record is missing from the database")
		}
		return nil, err
	}
	return out, nil
}
