package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/proof"
)

// log is a ledger in the making: the writer's side, by the writer's packages,
// but free to write what no honest device would.
type log struct {
	root, device ed25519.PrivateKey
	name         string // device id
	testHome     bool
	statements   []statement
	events       []event
	subjects     map[string]place
}

type statement struct{ body, sig []byte }

type event struct{ salt, body []byte }

type place struct {
	version int64
	hash    canon.Hash
}

// key is a fixed key, so that the vectors are the same on every run.
func key(seed string) ed25519.PrivateKey {
	s := sha256.Sum256([]byte("thumbturn test key " + seed))
	return ed25519.NewKeyFromSeed(s[:])
}

const (
	account = "0123456789abcdefghjkmnpqr0"
	vaultID = "0123456789abcdefghjkmnpqr4"
	itemID  = "0123456789abcdefghjkmnpqr8"
)

func sum(s string) canon.Hash { return sha256.Sum256([]byte(s)) }

func newLog() *log {
	return &log{root: key("root"), device: key("device"), name: "0123456789abcdefghjkmnpqrc", subjects: map[string]place{}}
}

func (l *log) genesis() canon.Genesis {
	return canon.Genesis{V: 1, Account: account, Device: l.name, DeviceKey: canon.Bytes(l.device.Public().(ed25519.PublicKey)),
		DeviceKEM: canon.Bytes("kem"), Root: canon.Bytes(l.root.Public().(ed25519.PublicKey)), Session: canon.Bytes("session"),
		LedgerKEM: canon.Bytes("ledger"), LedgerSeed: canon.Bytes("seed"), TestHome: l.testHome, Created: 1700000000000}
}

// next lays out the statement that follows what is current.
func (l *log) next(t canon.Type, subject string, payload any) canon.Statement {
	s := canon.Statement{Type: t, Subject: subject, Payload: canon.Encode(payload)}
	cur := l.subjects[s.Key()]
	s.Version, s.Parent = cur.version+1, cur.hash
	return s
}

func (l *log) put(s canon.Statement, by ed25519.PrivateKey) {
	body := s.Body()
	var sig []byte
	if by != nil {
		sig = ed25519.Sign(by, canon.SigningBytes(body))
	}
	l.statements = append(l.statements, statement{body, sig})
	l.subjects[s.Key()] = place{s.Version, canon.HashBody(body)}
}

func (l *log) sign(t canon.Type, subject string, payload any) {
	l.put(l.next(t, subject, payload), l.root)
}

func (l *log) happen(n int) {
	for range n {
		i := len(l.events)
		salt := sum(fmt.Sprint("salt ", i))
		l.events = append(l.events, event{salt[:], canon.Encode(canon.Event{V: 1, Type: canon.EventIntent, Time: int64(1700000000000 + i), Reason: "deploy <web> & more"})})
	}
}

func manifest(title string, state canon.State, values int) canon.Item {
	m := canon.Item{V: 1, Vault: vaultID, Epoch: 1, State: state, Meta: sum("meta"), Title: sum(title), Binding: sum("binding"), Writer: "person", Created: 1700000000000}
	for i := range values {
		m.Records = append(m.Records, canon.FieldHash{Field: "credential", Revision: int64(i + 1), Epoch: 1, Hash: sum(fmt.Sprint(i))})
	}
	return m
}

func vault() canon.Vault {
	return canon.Vault{V: 1, ID: vaultID, Epoch: 1, Tier: canon.TierStandard, MinApproval: "unlock", Public: canon.Bytes("p"), Members: []canon.Member{{Name: "me"}}}
}

// sample is a ledger with a statement of each kind.
func sample(events int) *log {
	l := newLog()
	l.fill(events)
	return l
}

func (l *log) fill(events int) {
	l.sign(canon.TypeGenesis, account, l.genesis())
	l.sign(canon.TypeRoster, "roster", canon.Roster{V: 1, Slots: []canon.Slot{{Header: canon.Encode(canon.SlotHeader{V: 1, ID: "a", Kind: canon.SlotUnlock})}}, Compartments: []canon.Compartment{{Name: "account", Seeds: []canon.Sealed{{To: "a"}}}}})
	l.sign(canon.TypePolicy, "policy", canon.Policy{V: 1, Text: "permit (principal, action, resource); // <&> \u2028 é"})
	l.sign(canon.TypeVault, vaultID, vault())
	l.put(l.next(canon.TypeItem, itemID, manifest("first", canon.StateCurrent, 1)), nil)
	l.put(l.next(canon.TypeItem, itemID, manifest("first", canon.StateCurrent, 2)), nil)
	l.sign(canon.TypeItem, itemID, manifest("second", canon.StateCurrent, 2))
	l.sign(canon.TypeSetting, "restored", canon.Setting{V: 1, Name: "restored", Value: "x"})
	l.happen(events)
}

func (l *log) links(n int) []canon.Hash {
	var out []canon.Hash
	var link canon.Hash
	for i, s := range l.statements[:n] {
		link = canon.Link(link, int64(i), s.body, s.sig)
		out = append(out, link)
	}
	return out
}

// hashes are the stored hashes of the events' tree, as x/mod lays them out.
func (l *log) hashes() tlog.HashReader {
	var stored []tlog.Hash
	r := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, e := range l.events {
		leaf := canon.Leaf(e.salt, e.body)
		hs, err := tlog.StoredHashes(int64(i), leaf[:], r)
		if err != nil {
			panic(err)
		}
		stored = append(stored, hs...)
	}
	return r
}

// signer signs notes as the ledger does.
type signer struct {
	name string
	key  ed25519.PrivateKey
}

func (s signer) Name() string { return s.name }
func (s signer) KeyHash() uint32 {
	h := sha256.Sum256(append([]byte(s.name+"\n\x01"), s.key.Public().(ed25519.PublicKey)...))
	return binary.BigEndian.Uint32(h[:])
}
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// head is the signed head over the first ns statements and ne events.
func (l *log) head(ns, ne int, cosigners ...note.Signer) string {
	root, err := tlog.TreeHash(int64(ne), l.hashes())
	if err != nil {
		panic(err)
	}
	var link canon.Hash
	if ns > 0 {
		link = l.links(ns)[ns-1]
	}
	b64 := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf("thumbturn/%s\n%d\n%s\nstatements %d %s\n", l.name, ne, b64(root[:]), ns, b64(link[:]))
	return l.signText(text, cosigners...)
}

func (l *log) signText(text string, cosigners ...note.Signer) string {
	n, err := note.Sign(&note.Note{Text: text}, append(cosigners, signer{"thumbturn/" + l.name, l.device})...)
	if err != nil {
		panic(err)
	}
	return string(n)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func (l *log) pub() string { return b64(l.device.Public().(ed25519.PublicKey)) }

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (l *log) first(head string) string {
	return marshal(struct {
		Export int    `json:"export"`
		Head   string `json:"head"`
		Key    string `json:"device_key"`
	}{1, head, l.pub()})
}

// lines is the export, line by line; the head covers all of it.
func (l *log) lines() []string {
	return l.linesUnder(l.head(len(l.statements), len(l.events)))
}

func (l *log) linesUnder(head string) []string {
	out := []string{l.first(head)}
	links := l.links(len(l.statements))
	for i, s := range l.statements {
		out = append(out, fmt.Sprintf(`{"statement":%d,"link":"%s","body":"%s","sig":"%s"}`, i, links[i], b64(s.body), b64(s.sig)))
	}
	for i, e := range l.events {
		out = append(out, fmt.Sprintf(`{"event":%d,"leaf":"%s","salt":"%s","body":"%s"}`, i, canon.Leaf(e.salt, e.body), b64(e.salt), b64(e.body)))
	}
	return out
}

func file(lines []string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }

func (l *log) export() []byte { return file(l.lines()) }

func (l *log) anchor(ns, ne int) []byte {
	return []byte(marshal(struct {
		Anchor int    `json:"anchor"`
		Head   string `json:"head"`
		Key    string `json:"device_key"`
	}{1, l.head(ns, ne), l.pub()}))
}

// receipt mirrors the proof file; tests change it before it is written.
type receipt struct {
	Proof int      `json:"proof"`
	N     int64    `json:"event"`
	Leaf  string   `json:"leaf"`
	Salt  string   `json:"salt"`
	Body  string   `json:"body"`
	Path  []string `json:"path"`
	Head  string   `json:"head"`
	Key   string   `json:"device_key"`
}

func (l *log) receipt(n int) receipt {
	p, err := tlog.ProveRecord(int64(len(l.events)), int64(n), l.hashes())
	if err != nil {
		panic(err)
	}
	e := l.events[n]
	out := receipt{1, int64(n), canon.Leaf(e.salt, e.body).String(), b64(e.salt), b64(e.body), []string{}, l.head(len(l.statements), len(l.events)), l.pub()}
	for _, h := range p {
		out.Path = append(out.Path, hex.EncodeToString(h[:]))
	}
	return out
}

func (l *log) fingerprint() string {
	return canon.RootFingerprint(l.root.Public().(ed25519.PublicKey)).String()
}

// flip changes one byte of a base64 or hexadecimal member of a line.
func flip(line, member string, at int) string {
	head, rest, ok := strings.Cut(line, `"`+member+`":"`)
	if !ok {
		panic(member)
	}
	value, tail, _ := strings.Cut(rest, `"`)
	var b []byte
	var err error
	isHex := member == "link" || member == "leaf"
	if isHex {
		b, err = hex.DecodeString(value)
	} else {
		b, err = base64.StdEncoding.DecodeString(value)
	}
	if err != nil {
		panic(err)
	}
	b = bytes.Clone(b)
	b[at%len(b)] ^= 1
	if value = b64(b); isHex {
		value = hex.EncodeToString(b)
	}
	return head + `"` + member + `":"` + value + `"` + tail
}

// edit returns the lines with one changed.
func edit(lines []string, i int, by func(string) string) []string {
	out := slices.Clone(lines)
	out[i] = by(out[i])
	return out
}

func class(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := err.(*proof.Error); ok {
		return string(e.Class)
	}
	return "other: " + err.Error()
}

func want(t testing.TB, err error, c string) {
	t.Helper()
	if got := class(err); got != c {
		t.Errorf("class %s, want %s (%v)", got, c, err)
	}
}
