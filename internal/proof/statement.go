package proof

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/proof/internal/form"
)

// body is a statement as it is stored, hashed and signed. The payload keeps its
// bytes; strict compares them too, since they are written out as they came.
type body struct {
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	Version int64           `json:"version"`
	Parent  hash            `json:"parent"`
	Payload json.RawMessage `json:"payload"`
}

// The statement types.
const (
	typeGenesis = "genesis"
	typeRoster  = "roster"
	typeVault   = "vault"
	typeItem    = "item"
	typePolicy  = "policy"
	typeSetting = "setting"
	typeGrant   = "grant"
	typeDevice  = "device"
)

// parseBody reads a statement's body strictly, but for its payload.
func parseBody(b []byte) (s body, ok bool) {
	if !strict(b, &s) || s.Version < 1 || !plainSubject(s.Subject) {
		return s, false
	}
	switch s.Type {
	case typeGenesis, typeRoster, typeVault, typeItem, typePolicy, typeSetting, typeGrant, typeDevice:
		return s, bytes.HasPrefix(s.Payload, []byte("{"))
	}
	return s, false
}

// plainSubject allows ids and fixed words: 1 to 64 of a-z, 0-9 and hyphen.
func plainSubject(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func hashBody(body []byte) [32]byte { return digest(domainStatement, body) }

// nextLink is link n of the chain. The signature is inside, so that it cannot be
// dropped.
func nextLink(prev [32]byte, n int64, body, sig []byte) [32]byte {
	hb, hs := hashBody(body), digest(domainSignature, sig)
	return digest(domainLink, prev[:], binary.BigEndian.AppendUint64(nil, uint64(n)), hb[:], hs[:])
}

// signedBytes is what the root key signs.
func signedBytes(body []byte) []byte {
	h := hashBody(body)
	return append([]byte(domainSignature), h[:]...)
}

// manifest is what decides whether the next manifest of an item needs the root
// key's signature.
type manifest struct {
	vault, state   string
	title, binding hash
	values         bool // it names at least one record
}

// needsRoot reports whether going from one manifest to the next takes the root
// key: title, binding, vault or state of an item that holds a value.
func needsRoot(old, next manifest) bool {
	return old.values && (!next.values || old.title != next.title || old.binding != next.binding ||
		old.vault != next.vault || old.state != next.state)
}

// The payloads, their members in order. Sealed bytes are not looked into.
type (
	genesis struct {
		V          int    `json:"v"`
		Account    string `json:"account"`
		Device     string `json:"device"`
		DeviceKey  base   `json:"device_key"`
		DeviceKEM  base   `json:"device_kem"`
		Root       base   `json:"root"`
		Session    base   `json:"session"`
		LedgerKEM  base   `json:"ledger_kem"`
		LedgerSeed base   `json:"ledger_seed"`
		TestHome   bool   `json:"test_home"`
		Created    int64  `json:"created"`
	}
	roster struct {
		V              int                  `json:"v"`
		Slots          []slot               `json:"slots"`
		Compartments   []compartment        `json:"compartments"`
		Authenticators []form.Authenticator `json:"authenticators,omitempty"`
	}
	slot struct {
		Header     slotHeader `json:"header"`
		Commitment hash       `json:"commitment"`
		Sealed     base       `json:"sealed"`
		Public     base       `json:"public"`
	}
	slotHeader struct {
		V           int    `json:"v"`
		Suite       int    `json:"suite"`
		Account     string `json:"account"`
		Device      string `json:"device"`
		ID          string `json:"id"`
		Kind        string `json:"kind"`
		Compartment string `json:"compartment"`
		RPID        string `json:"rp_id"`
		Credential  base   `json:"credential"`
		KDF         kdf    `json:"kdf"`
		Created     int64  `json:"created"`
	}
	kdf struct {
		Memory  uint32 `json:"memory"`
		Time    uint32 `json:"time"`
		Threads uint8  `json:"threads"`
		Salt    base   `json:"salt"`
	}
	compartment struct {
		Name   string `json:"name"`
		Public base   `json:"public"`
		Seeds  []seed `json:"seeds"`
	}
	seed struct {
		To    string `json:"to"`
		Bytes base   `json:"bytes"`
	}
	vault struct {
		V           int      `json:"v"`
		ID          string   `json:"id"`
		Epoch       int64    `json:"epoch"`
		Tier        string   `json:"tier"`
		MinApproval string   `json:"min_approval"`
		Public      base     `json:"public"`
		Seed        base     `json:"seed"`
		IndexKey    base     `json:"index_key"`
		IndexHash   hash     `json:"index_hash"`
		Name        base     `json:"name"`
		NameTag     hash     `json:"name_tag"`
		Members     []member `json:"members"`
		Deleted     bool     `json:"deleted"`
		Past        *past    `json:"past,omitempty"`
	}
	past struct {
		Publics []hash `json:"publics"`
		Seeds   base   `json:"seeds"`
	}
	member struct {
		Name        string `json:"name"`
		Fingerprint hash   `json:"fingerprint"`
	}
	item struct {
		V       int       `json:"v"`
		Vault   string    `json:"vault"`
		Epoch   int64     `json:"epoch"`
		State   string    `json:"state"`
		Meta    hash      `json:"meta"`
		Title   hash      `json:"title"`
		Binding hash      `json:"binding"`
		Records []record  `json:"records"`
		Pending *proposal `json:"pending,omitempty"`
		Writer  string    `json:"writer"`
		Created int64     `json:"created"`
	}
	record struct {
		Field    string `json:"field"`
		Revision int64  `json:"revision"`
		Epoch    int64  `json:"epoch"`
		Hash     hash   `json:"hash"`
	}
	proposal struct {
		Values []record `json:"values"`
		Writer string   `json:"writer"`
		Time   int64    `json:"time"`
	}
	policy struct {
		V    int    `json:"v"`
		Text string `json:"text"`
	}
	setting struct {
		V     int    `json:"v"`
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	heir struct {
		V         int    `json:"v"`
		Device    string `json:"device"`
		DeviceKey base   `json:"device_key"`
		DeviceKEM base   `json:"device_kem"`
		Head      string `json:"head"`
		Created   int64  `json:"created"`
	}
	grant struct {
		V       int    `json:"v"`
		ID      string `json:"id"`
		Vault   string `json:"vault"`
		Epoch   int64  `json:"epoch"`
		Terms   base   `json:"terms"`
		Uses    int64  `json:"uses"`
		Created int64  `json:"created"`
		Until   int64  `json:"until"`
		Revoked bool   `json:"revoked"`
	}
)

// readPayload checks the payload of everything but a genesis, an item, a grant and a device.
func readPayload(s body) (v vault, ok bool) {
	switch s.Type {
	case typeRoster:
		var p roster
		return v, strict(s.Payload, &p) && p.V == 1 && s.Subject == typeRoster
	case typeVault:
		return v, strict(s.Payload, &v) && v.V == 1 && v.ID == s.Subject
	case typePolicy:
		var p policy
		return v, strict(s.Payload, &p) && p.V == 1 && s.Subject == typePolicy
	case typeSetting:
		var p setting
		return v, strict(s.Payload, &p) && p.V == 1 && p.Name == s.Subject
	}
	return v, false // a second genesis
}

// authenticators are the passkeys of a roster that was read before.
func authenticators(s body) []form.Authenticator {
	var p roster
	_ = strict(s.Payload, &p)
	return p.Authenticators
}

func readItem(s body) (m manifest, p item, ok bool) {
	ok = strict(s.Payload, &p) && p.V == 1
	switch p.State {
	case "current", "pending", "archived", "deleted":
	default:
		ok = false
	}
	return manifest{p.Vault, p.State, p.Title, p.Binding, len(p.Records) > 0}, p, ok
}

func parentMsg(s body) string {
	return fmt.Sprintf("version %d of %s/%s does not follow what was current", s.Version, s.Type, s.Subject)
}
