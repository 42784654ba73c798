package proof

import (
	"bytes"
	"crypto/ed25519"

	"github.com/thumbturn/thumbturn/internal/proof/internal/gesture"
)

// subject is what is current about one subject.
type subject struct {
	version int64
	hash    [32]byte
}

// device is who signs heads at a place in the ledger.
type device struct {
	id  string
	key []byte
}

func (d device) signed(h Head) bool { return d.id == h.Device && bytes.Equal(d.key, h.Key) }

// account is whose ledger it is, as its genesis says.
type account struct {
	rootKey  ed25519.PublicKey
	root     [32]byte
	testHome bool
}

// verifier is the state between two lines. Its memory grows with the number of
// subjects, not with that of statements or events, unless
// approvals are asked for.
type verifier struct {
	o          Options
	anchor     *Head
	head       *Head
	statements int64
	link       [32]byte
	device     device
	ends       []Head // of the devices before, as each signed it; their events are yet to come
	account
	tree      tree
	subjects  map[string]subject
	vaults    map[string]vault // the latest descriptor by id
	items     map[string]manifest
	ended     map[string]bool    // grants taken back, by id
	approvals *gesture.Approvals // nil when they are not asked for
}

// line takes the next line of the export. What a line is follows from its place
// and its first member, never from a guess.
func (v *verifier) line(b []byte) error {
	switch {
	case v.head == nil:
		return v.first(b)
	case bytes.HasPrefix(b, []byte(`{"statement":`)):
		var l statementLine
		if !strict(b, &l) {
			return fail(Format, at("statement", v.statements), "malformed line")
		}
		return v.statement(l)
	case bytes.HasPrefix(b, []byte(`{"event":`)):
		var l eventLine
		if !strict(b, &l) || len(l.Salt) != saltSize {
			return fail(Format, at("event", v.tree.n), "malformed line")
		}
		return v.event(l)
	}
	return fail(Format, "", "a line that is neither statement nor event")
}

func (v *verifier) first(b []byte) error {
	var l firstLine
	if !strict(b, &l) || l.Export != 1 {
		return fail(Format, "", "not an export")
	}
	h, err := openHead(l.Head, l.Key, "")
	if err != nil {
		return err
	}
	v.head = &h
	if a := v.anchor; a != nil && (a.Statements > h.Statements || a.Events > h.Events) {
		return fail(NotAnchor, "anchor", "the export is older than the anchor")
	}
	return v.meet()
}

// meet compares with the anchor where the export reaches its counts.
func (v *verifier) meet() error {
	a := v.anchor
	if a == nil {
		return nil
	}
	if v.tree.n == 0 && v.statements == a.Statements && v.link != a.Link {
		return fail(NotAnchor, "anchor", "the statements are not those that the anchor covers")
	}
	if v.tree.n == 0 && v.statements == max(a.Statements, 1) && !v.device.signed(*a) {
		return fail(NotAnchor, "anchor", "it is of another device")
	}
	if v.tree.n == a.Events && (v.tree.n > 0 || v.statements == 0) && v.tree.root() != a.Tree {
		return fail(NotAnchor, "anchor", "the events are not those that the anchor covers")
	}
	return nil
}

func (v *verifier) statement(l statementLine) error {
	where := at("statement", v.statements)
	if v.tree.n > 0 || l.N != v.statements || l.N >= v.head.Statements {
		return fail(Count, where, "the line is not the next one")
	}
	s, ok := parseBody(l.Body)
	if !ok {
		return fail(Format, where, "the body is not a statement in canonical form")
	}
	before := v.link
	v.link = nextLink(v.link, l.N, l.Body, l.Sig)
	if v.link != l.Link {
		return fail(Chain, where, "the link is not that of the statement")
	}
	key := s.Type + "/" + s.Subject
	if cur := v.subjects[key]; s.Version != cur.version+1 || s.Parent != cur.hash {
		return fail(Parent, where, parentMsg(s))
	}
	var err error
	switch {
	case l.N == 0:
		err = v.genesis(s, l)
	case s.Type == typeItem:
		err = v.item(s, l, where)
	case s.Type == typeGrant:
		err = v.grant(s, l, where)
	case s.Type == typeDevice:
		err = v.goOver(s, l, before, where)
	default:
		err = v.decision(s, l, where)
	}
	if err != nil {
		return err
	}
	v.subjects[key] = subject{s.Version, hashBody(l.Body)}
	if v.approvals != nil {
		v.approvals.Statement(v.link)
		if s.Type == typeRoster {
			v.approvals.Roster(authenticators(s))
		}
	}
	v.statements++
	return v.meet()
}

func (v *verifier) genesis(s body, l statementLine) error {
	const where = "statement 0"
	var g genesis
	if s.Type != typeGenesis || !strict(s.Payload, &g) || g.V != 1 || g.Account != s.Subject || len(g.Root) != ed25519.PublicKeySize {
		return fail(Format, where, "the first statement is no genesis")
	}
	v.rootKey, v.testHome = ed25519.PublicKey(g.Root), g.TestHome
	v.root = Fingerprint(v.rootKey)
	if v.o.Root != nil && *v.o.Root != v.root {
		return fail(Root, where, "the account's root fingerprint is "+short(v.root)+"…, not the expected one")
	}
	if !v.signed(l) {
		return fail(Signature, where, "the genesis is not signed by its own root key")
	}
	v.device = device{g.Device, g.DeviceKey}
	return nil
}

// goOver takes the statement by which the ledger goes over to another device: the
// root key's word, and the last head of the device before, which vouches for all
// that stands above.
func (v *verifier) goOver(s body, l statementLine, before [32]byte, where string) error {
	if !v.signed(l) {
		return fail(Signature, where, "a statement that decides is not signed by the root key")
	}
	var d heir
	if !strict(s.Payload, &d) || d.V != 1 || s.Subject != typeDevice || len(d.DeviceKey) != ed25519.PublicKeySize {
		return fail(Format, where, "malformed device")
	}
	h, err := openHead(d.Head, v.device.key, where)
	if err != nil {
		return err
	}
	if h.Device != v.device.id || h.Statements != v.statements || h.Link != before || len(v.ends) > 0 && h.Events < v.ends[len(v.ends)-1].Events {
		return fail(BadHead, where, "the device before did not end its part of the ledger here")
	}
	v.ends, v.device = append(v.ends, h), device{d.Device, d.DeviceKey}
	return nil
}

// past compares the tree with what the devices before have signed, where it
// reaches their counts.
func (v *verifier) past() error {
	for len(v.ends) > 0 && v.ends[0].Events == v.tree.n {
		if v.ends[0].Tree != v.tree.root() {
			return fail(Leaf, "", "the events are not those that device "+v.ends[0].Device+" signed at its end")
		}
		v.ends = v.ends[1:]
	}
	return nil
}

// signed reports whether the root key signed the statement of a line.
func (v *verifier) signed(l statementLine) bool {
	return len(l.Sig) > 0 && ed25519.Verify(v.rootKey, signedBytes(l.Body), l.Sig)
}

// decision takes a statement that counts with the root key's signature only.
func (v *verifier) decision(s body, l statementLine, where string) error {
	if !v.signed(l) {
		return fail(Signature, where, "a statement that decides is not signed by the root key")
	}
	d, ok := readPayload(s)
	if !ok {
		return fail(Format, where, "malformed "+s.Type)
	}
	if s.Type == typeVault {
		old, known := v.vaults[d.ID]
		if why := d.follows(old, known); why != "" {
			return fail(Parent, where, why)
		}
		v.vaults[d.ID] = d
	}
	return nil
}

func (v *verifier) item(s body, l statementLine, where string) error {
	signed := v.signed(l)
	if len(l.Sig) > 0 && !signed {
		return fail(Signature, where, "the signature is not of this account's root key")
	}
	m, p, ok := readItem(s)
	if !ok {
		return fail(Format, where, "malformed item manifest")
	}
	if d, known := v.vaults[p.Vault]; !known || p.newest() > d.Epoch {
		return fail(Parent, where, "the item's vault, or its epoch, is not known at this place")
	}
	if !signed && needsRoot(v.items[s.Subject], m) {
		return fail(Signature, where, "title, binding, vault or state of an item with a value changed without the root key")
	}
	v.items[s.Subject] = m
	return nil
}

// grant takes leave for a job, which the root key gives, or its end, which needs
// no signature and is final.
func (v *verifier) grant(s body, l statementLine, where string) error {
	signed := v.signed(l)
	if len(l.Sig) > 0 && !signed {
		return fail(Signature, where, "the signature is not of this account's root key")
	}
	var g grant
	if !strict(s.Payload, &g) || g.V != 1 || g.ID != s.Subject {
		return fail(Format, where, "malformed grant")
	}
	if d, known := v.vaults[g.Vault]; !known || g.Epoch > d.Epoch {
		return fail(Parent, where, "the grant's vault, or its epoch, is not known at this place")
	}
	if s.Version > 1 && (v.ended[g.ID] || !g.Revoked) {
		return fail(Parent, where, "a grant is followed by its end and by nothing else")
	}
	if s.Version == 1 && !signed {
		return fail(Signature, where, "a grant is not signed by the root key")
	}
	v.ended[g.ID] = g.Revoked
	return nil
}

// whole checks that the statements are all there and end where the head says.
func (v *verifier) whole() error {
	switch {
	case v.statements == 0 || v.statements != v.head.Statements:
		return fail(Count, at("statement", v.statements), "it is missing")
	case v.link != v.head.Link:
		return fail(Chain, at("statement", v.statements-1), "the statements do not end in the head's link")
	case !v.device.signed(*v.head):
		return fail(BadHead, "", "the head is of another device than the one that the statements name last")
	}
	return v.past()
}

func (v *verifier) event(l eventLine) error {
	where := at("event", v.tree.n)
	if v.tree.n == 0 {
		if err := v.whole(); err != nil {
			return err
		}
	}
	if l.N != v.tree.n || l.N >= v.head.Events {
		return fail(Count, where, "the line is not the next one")
	}
	if leafOf(l.Salt, l.Body) != l.Leaf {
		return fail(Leaf, where, "the event is not that of its leaf")
	}
	v.approve(l)
	v.tree.add(recordHash(l.Leaf))
	if err := v.past(); err != nil {
		return err
	}
	return v.meet()
}

// end checks what only the whole export tells.
func (v *verifier) end() error {
	if v.head == nil {
		return fail(Format, "", "empty file")
	}
	if err := v.whole(); err != nil {
		return err
	}
	switch {
	case v.tree.n != v.head.Events:
		return fail(Count, at("event", v.tree.n), "it is missing")
	case v.tree.root() != v.head.Tree:
		return fail(Leaf, "", "the events do not give the head's tree")
	case len(v.ends) > 0:
		return fail(Leaf, "", "events are missing that device "+v.ends[0].Device+" signed at its end")
	}
	if v.approvals != nil {
		return v.approvals.Failed()
	}
	return nil
}

// approve checks what the event of a line says of an approval, if that is asked
// for. A failure waits for the end: what is wrong with the ledger itself goes
// before it.
func (v *verifier) approve(l eventLine) {
	if v.approvals == nil {
		return
	}
	by := gesture.Signer{Device: v.device.id, Key: v.device.key}
	if len(v.ends) > 0 {
		by = gesture.Signer{Device: v.ends[0].Device, Key: v.ends[0].Key}
	}
	v.approvals.Event(by, v.tree.root(), l.Body)
}

// witness opens the head that a request quotes.
func witness(note string, by gesture.Signer) (gesture.Head, bool) {
	h, err := openHead(note, by.Key, "")
	return gesture.Head{Statements: h.Statements, Events: h.Events, Link: h.Link, Tree: h.Tree}, err == nil && h.Device == by.Device
}
