package canon

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Type is the kind of a statement. Unknown types are refused by every reader.
type Type string

// The statement types (spec/ledger.md).
const (
	TypeGenesis Type = "genesis" // the first statement: account, device, root key
	TypeRoster  Type = "roster"  // slots and what is sealed to them
	TypeVault   Type = "vault"   // a vault descriptor
	TypeItem    Type = "item"    // an item manifest
	TypePolicy  Type = "policy"  // the policy in force
	TypeSetting Type = "setting" // a security-relevant setting; also a restore
	TypeGrant   Type = "grant"   // leave for an unattended job, or its end
	TypeDevice  Type = "device"  // the ledger goes over to another device
)

// Known reports whether t is a type this version understands.
func (t Type) Known() bool {
	switch t {
	case TypeGenesis, TypeRoster, TypeVault, TypeItem, TypePolicy, TypeSetting, TypeGrant, TypeDevice:
		return true
	}
	return false
}

// Statement says what is current about one subject. Its own version counts from
// 1 and Parent is the Hash of the subject's statement before, so that two
// statements about one subject are always ordered or visibly siblings.
type Statement struct {
	Type    Type
	Subject string // an id, or a fixed word for singletons
	Version int64
	Parent  Hash
	Payload []byte // canonical JSON of the type's payload
}

// Key names what a statement is about: type and subject together.
func (s Statement) Key() string { return string(s.Type) + "/" + s.Subject }

// Body returns the bytes that are stored, hashed and signed:
// {"type":…,"subject":…,"version":…,"parent":…,"payload":…}.
func (s Statement) Body() []byte {
	b := make([]byte, 0, 160+len(s.Payload))
	b = append(b, `{"type":"`...)
	b = append(b, s.Type...)
	b = append(b, `","subject":"`...)
	b = append(b, s.Subject...)
	b = append(b, `","version":`...)
	b = strconv.AppendInt(b, s.Version, 10)
	b = append(b, `,"parent":"`...)
	b = append(b, s.Parent.String()...)
	b = append(b, `","payload":`...)
	b = append(b, s.Payload...)
	return append(b, '}')
}

// HashBody returns the digest by which a later statement names this one as its
// parent.
func HashBody(body []byte) Hash { return Digest(DomainStatement, body) }

// ParseStatement reads a body. It does not look into the payload beyond its
// extent, so that 100,000 statements replay in little time; the payload is
// decoded strictly where it is used.
func ParseStatement(body []byte) (Statement, error) {
	var s Statement
	rest := body
	field := func(before, end string) (string, bool) {
		r, ok := bytes.CutPrefix(rest, []byte(before))
		if !ok {
			return "", false
		}
		v, after, ok := bytes.Cut(r, []byte(end))
		rest = after
		return string(v), ok
	}
	typ, ok1 := field(`{"type":"`, `",`)
	sub, ok2 := field(`"subject":"`, `",`)
	ver, ok3 := field(`"version":`, `,`)
	par, ok4 := field(`"parent":"`, `",`)
	payload, ok5 := bytes.CutPrefix(rest, []byte(`"payload":`))
	if !(ok1 && ok2 && ok3 && ok4 && ok5) || len(payload) < 3 || // at least "{}}"
		payload[len(payload)-1] != '}' {
		return s, errors.New("canon: not a statement")
	}
	n, err := strconv.ParseInt(ver, 10, 64)
	if err != nil || n < 1 {
		return s, errors.New("canon: statement version out of range")
	}
	s = Statement{Type: Type(typ), Subject: sub, Version: n, Payload: payload[:len(payload)-1]}
	if err := s.Parent.UnmarshalText([]byte(par)); err != nil {
		return s, err
	}
	if !s.Type.Known() {
		return s, fmt.Errorf("canon: unknown statement type %q", typ)
	}
	if !plainSubject(sub) || s.Payload[0] != '{' || s.Payload[len(s.Payload)-1] != '}' || !bytes.Equal(s.Body(), body) {
		return s, errors.New("canon: statement not in canonical form")
	}
	return s, nil
}

// plainSubject allows ids and fixed words only, so that a subject never needs
// escaping.
func plainSubject(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Link returns the n-th link (n counts from 0) of the statement chain:
// H(previous link, n, H(body), H(signature)). The signature is inside, so that
// it cannot be dropped from a stored statement.
func Link(prev Hash, n int64, body, sig []byte) Hash {
	var idx [8]byte
	binary.BigEndian.PutUint64(idx[:], uint64(n))
	hb, hs := HashBody(body), Digest(DomainSignature, sig)
	return Digest(DomainLink, prev[:], idx[:], hb[:], hs[:])
}

// SigningBytes returns what the root key signs for a statement body.
func SigningBytes(body []byte) []byte {
	h := HashBody(body)
	return append([]byte(DomainSignature), h[:]...)
}

// Genesis is the payload of the first statement; its subject is the account id.
type Genesis struct {
	V          int    `json:"v"`
	Account    string `json:"account"`
	Device     string `json:"device"`
	DeviceKey  Bytes  `json:"device_key"`  // Ed25519 public key that signs heads
	DeviceKEM  Bytes  `json:"device_kem"`  // HPKE public key of the device
	Root       Bytes  `json:"root"`        // Ed25519 public key of the account
	Session    Bytes  `json:"session"`     // HPKE public key that unlock opens
	LedgerKEM  Bytes  `json:"ledger_kem"`  // HPKE public key to which event keys are sealed
	LedgerSeed Bytes  `json:"ledger_seed"` // its seed, sealed to Session
	TestHome   bool   `json:"test_home"`
	Created    int64  `json:"created"` // unix milliseconds
}

// RootFingerprint names a root public key: what a person compares, what a slot
// holds and what `audit verify --root` takes.
func RootFingerprint(root []byte) Hash { return Digest(DomainRoot, root) }

// Slot is one way to open compartments. Header is the exact bytes that were
// used as HKDF info and AAD; the decoded copy is never re-encoded for that.
type Slot struct {
	Header     json.RawMessage `json:"header"` // a SlotHeader
	Commitment Hash            `json:"commitment"`
	Sealed     Bytes           `json:"sealed"`
	Public     Bytes           `json:"public"` // HPKE public key of the slot seed
}

// SlotKind says which secret opens a slot.
type SlotKind string

// The slot kinds of this version. A passkey slot names its relying party and
// credential in the header; its secret is the PRF output for its compartment. The
// secret of a PIN slot is what this device's TPM gives for the PIN.
const (
	SlotUnlock   SlotKind = "unlock"   // unlock passphrase
	SlotPresence SlotKind = "presence" // presence passphrase
	SlotRecovery SlotKind = "recovery" // recovery code; the only one without the share
	SlotPasskey  SlotKind = "passkey"  // PRF output of a passkey
	SlotPIN      SlotKind = "pin"      // PIN of the TPM
)

// SlotHeader describes a slot and binds it to its place.
type SlotHeader struct {
	V           int      `json:"v"`
	Suite       int      `json:"suite"`
	Account     string   `json:"account"`
	Device      string   `json:"device"`
	ID          string   `json:"id"`
	Kind        SlotKind `json:"kind"`
	Compartment string   `json:"compartment"` // "session", "account", "recovery" or a vault id
	RPID        string   `json:"rp_id"`
	Credential  Bytes    `json:"credential"`
	KDF         KDF      `json:"kdf"`
	Created     int64    `json:"created"`
}

// KDF are the Argon2id parameters of a passphrase slot (RFC 9106); all zero for
// secrets that need no stretching.
type KDF struct {
	Memory  uint32 `json:"memory"` // KiB
	Time    uint32 `json:"time"`
	Threads uint8  `json:"threads"`
	Salt    Bytes  `json:"salt"`
}

// Sealed is a seed for one reader: HPKE to a slot's or a compartment's public
// key.
type Sealed struct {
	To    string `json:"to"` // slot id
	Bytes Bytes  `json:"bytes"`
}

// Compartment is a key pair whose seed is sealed to slots. The compartment
// "account" holds the root signing seed (Public is the root key); every other
// one an HPKE seed.
type Compartment struct {
	Name   string   `json:"name"`
	Public Bytes    `json:"public"`
	Seeds  []Sealed `json:"seeds"`
}

// Roster is the payload of the roster statement, signed by the root key and
// replaced as a whole; its subject is "roster".
type Roster struct {
	V              int             `json:"v"`
	Slots          []Slot          `json:"slots"`
	Compartments   []Compartment   `json:"compartments"`
	Authenticators []Authenticator `json:"authenticators,omitempty"` // passkeys
}

// Tier is how a vault is guarded.
type Tier string

// The tiers. The zero Tier opens nothing.
const (
	TierStandard Tier = "standard"
	TierPresence Tier = "presence"
)

// Member is somebody a vault's seed is sealed for, with the fingerprint of the
// key it was sealed to.
type Member struct {
	Name        string `json:"name"`
	Fingerprint Hash   `json:"fingerprint"`
}

// Vault is the payload of a vault descriptor, signed by the root key; its
// subject is the vault id.
type Vault struct {
	V           int      `json:"v"`
	ID          string   `json:"id"`
	Epoch       int64    `json:"epoch"`
	Tier        Tier     `json:"tier"`
	MinApproval Least    `json:"min_approval"`
	Public      Bytes    `json:"public"`
	Seed        Bytes    `json:"seed"`       // sealed to the session key (standard) or the compartment (presence)
	IndexKey    Bytes    `json:"index_key"`  // sealed to the session key
	IndexHash   Hash     `json:"index_hash"` // commitment to the index key
	Name        Bytes    `json:"name"`       // sealed under the index key
	NameTag     Hash     `json:"name_tag"`   // keyed hash of the folded name, for duplicates
	Members     []Member `json:"members"`
	Deleted     bool     `json:"deleted"`
	Past        *Past    `json:"past,omitempty"` // there from the second epoch on
}

// State is what a revision of an item is.
type State string

// The states of an item revision.
const (
	StateCurrent  State = "current"
	StatePending  State = "pending"  // proposed by an agent, waits for a person
	StateArchived State = "archived" // out of the way: nothing of it opens until it is brought back
	StateDeleted  State = "deleted"  // a tombstone: it names no records
)

// FieldHash names one sealed value by the hash of its record, and the revision
// of the item and the epoch of the vault in which it was sealed (a value that an
// edit did not touch keeps its record). The epoch may be above that of the manifest:
// a proposal leaves the metadata as it was sealed.
type FieldHash struct {
	Field    string `json:"field"`
	Revision int64  `json:"revision"`
	Epoch    int64  `json:"epoch"`
	Hash     Hash   `json:"hash"`
}

// Item is the payload of an item manifest; its subject is the item id. Only
// what the latest manifest names is ever opened. Title and binding tags are
// keyed hashes that stand apart, so that a change of either is visible without
// opening the metadata.
type Item struct {
	V       int         `json:"v"`
	Vault   string      `json:"vault"`
	Epoch   int64       `json:"epoch"`
	State   State       `json:"state"`
	Meta    Hash        `json:"meta"`
	Title   Hash        `json:"title"`
	Binding Hash        `json:"binding"`
	Records []FieldHash `json:"records"`
	Pending *Proposal   `json:"pending,omitempty"` // a value that waits beside the current one
	Writer  string      `json:"writer"`            // caller kind and root, as evidence
	Created int64       `json:"created"`
}

// Values are all the records that a manifest names, current and proposed.
func (i Item) Values() []FieldHash {
	if i.Pending == nil {
		return i.Records
	}
	return slices.Concat(i.Records, i.Pending.Values)
}

// Proposal is what an agent brought for an existing item. It is not opened
// until a person activates it, and never displaces kept revisions.
type Proposal struct {
	Values []FieldHash `json:"values"`
	Writer string      `json:"writer"`
	Time   int64       `json:"time"`
}

// Policy is the payload of the policy statement; its subject is "policy".
type Policy struct {
	V    int    `json:"v"`
	Text string `json:"text"`
}

// Setting is the payload of a setting statement; its subject is the setting's
// name.
type Setting struct {
	V     int    `json:"v"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ItemHead is the part of an item manifest that replay needs for every item. It
// is read by position, without decoding the rest.
type ItemHead struct {
	Vault   string
	Epoch   int64
	State   State
	Meta    Hash
	Title   Hash
	Binding Hash
	Values  bool  // the revision names at least one record
	Newest  int64 // highest epoch of its records, those that wait too; 0 where there are none
}

// NeedsRoot reports whether going from one manifest to the next takes the root
// key: title, binding, vault or state of an item that holds a value, and the
// disappearance of its last value, or two unsigned steps would change a title.
func (h ItemHead) NeedsRoot(next ItemHead) bool {
	return h.Values && (!next.Values || h.Title != next.Title || h.Binding != next.Binding || h.Vault != next.Vault || h.State != next.State)
}

// ItemWriter reads the writer of an item manifest's payload, without decoding
// the rest. Inside a JSON string the mark that it looks for would have its
// quotation marks escaped.
func ItemWriter(payload []byte) string {
	const mark = `"writer":`
	i := bytes.LastIndex(payload, []byte(mark))
	if i < 0 {
		return ""
	}
	text, _, _ := bytes.Cut(payload[i+len(mark):], []byte(`,"created":`))
	var s string
	_ = json.Unmarshal(text, &s) // it was encoded by us; what is no string has no writer
	return s
}

// ItemPending reports whether a proposal waits in an item manifest's payload.
func ItemPending(payload []byte) bool { return bytes.Contains(payload, []byte(`"pending":{`)) }

// ReadItemHead reads the head of an item manifest's payload.
func ReadItemHead(payload []byte) (ItemHead, error) {
	var h ItemHead
	rest := payload
	ok := true
	field := func(before, end string) string {
		r, found := bytes.CutPrefix(rest, []byte(before))
		v, after, cut := bytes.Cut(r, []byte(end))
		ok = ok && found && cut
		rest = after
		return string(v)
	}
	h.Vault = field(`{"v":1,"vault":"`, `",`)
	epoch := field(`"epoch":`, `,`)
	h.State = State(field(`"state":"`, `",`))
	meta := field(`"meta":"`, `",`)
	title, binding := field(`"title":"`, `",`), field(`"binding":"`, `",`)
	h.Values = bytes.HasPrefix(rest, []byte(`"records":[{`))
	var err error
	if h.Epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil || !ok {
		return h, errors.New("canon: not an item manifest")
	}
	if h.Newest, err = newestEpoch(rest); err != nil {
		return h, err
	}
	return h, errors.Join(h.Meta.UnmarshalText([]byte(meta)), h.Title.UnmarshalText([]byte(title)),
		h.Binding.UnmarshalText([]byte(binding)))
}
