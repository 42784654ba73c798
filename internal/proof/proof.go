// Package proof verifies a Thumbturn ledger offline: the export of a whole
// ledger, an anchor (a signed head that was put elsewhere), and the receipt of
// one event.
//
// It is a second implementation of the formats, written from spec/ledger.md on
// the standard library alone, so that a stranger can read all of what a verdict
// stands on. It shares no code with the programs that write ledgers.
//
// Verification says that nothing was changed, cut or slipped in after the
// device signed its head, and that what decides was signed by the account's
// root key. Which account that is, the reader must know from elsewhere: by the
// root fingerprint, or by an anchor of an earlier day.
package proof

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/thumbturn/thumbturn/internal/proof/internal/form"
	"github.com/thumbturn/thumbturn/internal/proof/internal/gesture"
)

// Class is why a verification failed. The strings are part of spec/ledger.md,
// spec/request.md and of their vectors: frozen.
type Class = form.Class

// The failure classes.
const (
	Format          = form.Format // bytes are not of the form that the spec lays down
	Chain     Class = "chain"     // the statements' links do not follow from one another, or do not end in the head's
	Signature Class = "signature" // a root signature is missing or wrong
	Parent    Class = "parent"    // a statement does not follow what it names
	BadHead   Class = "head"      // the head is malformed, not signed by the device, or of another device
	Leaf      Class = "leaf"      // an event is not that of its leaf, or the leaves do not give the head's tree
	Count     Class = "count"     // lines are missing, repeated, out of order or too many
	Root      Class = "root"      // the account is not the expected one
	NotAnchor Class = "anchor"    // the export does not continue the anchor
	Path      Class = "path"      // an inclusion proof does not lead to the head's tree
)

// The failure classes of approvals (spec/request.md).
const (
	BadApproval  = gesture.BadApproval
	NoPasskey    = gesture.NoPasskey
	BadAssertion = gesture.BadAssertion
	Repeated     = gesture.Repeated
)

// Error is a failed verification. It quotes indexes and subjects, never a body.
type Error = form.Error

// Authenticator is a passkey, and Assertion a signature of one: what
// Authenticator.Check checks.
type (
	Authenticator = gesture.Authenticator
	Assertion     = gesture.Assertion
)

// Approvals is what a verified export says of the people who approved.
type (
	Approvals = gesture.Report
	Passkey   = gesture.Passkey
)

// The reasons for which a report is to be believed; see Report.TrustedBecause.
const (
	TrustRoot   = "the root fingerprint that was given"
	TrustAnchor = "the anchor that was given"
	TrustItself = "the export's own genesis; compare the fingerprint"
	TrustKey    = "the device key that was given"
	TrustFile   = "the proof's own device key; compare it"
)

// Options say what the reader knows from elsewhere.
type Options struct {
	Root *[32]byte // the expected root fingerprint; nil when unknown
	// Approvals also checks the evidence of gestures, with every passkey's
	// signature. Then the memory that it takes grows with the ledger.
	Approvals bool
}

// Report is what a verified export says of itself.
type Report struct {
	Statements     int64
	Events         int64
	Root           [32]byte   // fingerprint of the account's root key
	Device         string     // id of the device whose ledger it is
	DeviceKey      []byte     // its Ed25519 public key
	TestHome       bool       // the genesis says that this is a test home
	Head           string     // the head's note
	TrustedBecause string     // one of the Trust texts
	Approvals      *Approvals // nil unless Options asked for them
}

// Head is a verified signed head.
type Head struct {
	Device     string
	Events     int64
	Tree       [32]byte // Merkle root of the events
	Statements int64
	Link       [32]byte // last link of the statement chain
	Key        []byte   // the Ed25519 public key that signed
	Note       string
}

// Verify reads an export to its end and checks all of it. Every failure is an
// *Error, but for errors of r, which are returned as they are. A failed
// verification reports nothing.
func Verify(r io.Reader, o Options) (Report, error) { return verify(r, nil, o) }

// Since does what Verify does and checks that the export continues an anchor: it
// holds all that the device had signed then, unchanged.
func Since(r io.Reader, anchor []byte, o Options) (Report, error) {
	a, err := Anchor(anchor)
	if err != nil {
		return Report{}, err
	}
	return verify(r, &a, o)
}

func verify(r io.Reader, a *Head, o Options) (Report, error) {
	v := &verifier{o: o, anchor: a, subjects: map[string]subject{}, vaults: map[string]vault{}, items: map[string]manifest{}, ended: map[string]bool{}}
	if o.Approvals {
		v.approvals = gesture.New(witness)
	}
	if err := eachLine(r, v.line); err != nil {
		return Report{}, err
	}
	if err := v.end(); err != nil {
		return Report{}, err
	}
	rep := Report{
		Statements: v.statements, Events: v.tree.n, Root: v.root, Device: v.head.Device, DeviceKey: v.head.Key,
		TestHome: v.testHome, Head: v.head.Note, TrustedBecause: TrustItself,
	}
	if v.approvals != nil {
		rep.Approvals = v.approvals.Report()
	}
	switch {
	case o.Root != nil:
		rep.TrustedBecause = TrustRoot
	case a != nil && a.Statements > 0: // its link covers the genesis
		rep.TrustedBecause = TrustAnchor
	}
	return rep, nil
}

// Anchor checks an anchor file: its head is signed by the device key that it
// names. Whose key that is, only the comparison with a ledger tells.
func Anchor(b []byte) (Head, error) {
	var f anchorFile
	if !strict(trimLine(b), &f) || f.Anchor != 1 {
		return Head{}, fail(Format, "anchor", "not an anchor file")
	}
	return openHead(f.Head, f.Key, "anchor")
}

// Event is one event that was proved to lie under a head.
type Event struct {
	N              int64
	Leaf           [32]byte
	Salt           []byte
	Body           []byte // canonical JSON
	Head           Head
	TrustedBecause string // TrustKey or TrustFile
}

// Receipt checks the proof file of one event: that it lies under the head, and
// that the device signed the head. devicePub is the device's public key where
// the reader knows it; with nil the file's own key is taken, and the reader must
// compare Event.Head.Key.
func Receipt(b []byte, devicePub []byte) (Event, error) {
	var f proofFile
	if !strict(trimLine(b), &f) || f.Proof != 1 || f.N < 0 {
		return Event{}, fail(Format, "proof", "not a proof file")
	}
	if len(f.Salt) != saltSize || f.Path == nil {
		return Event{}, fail(Format, "proof", "not a proof file")
	}
	e := Event{N: f.N, Leaf: f.Leaf, Salt: f.Salt, Body: f.Body, TrustedBecause: TrustFile}
	var err error
	if e.Head, err = openHead(f.Head, f.Key, "proof"); err != nil {
		return Event{}, err
	}
	if devicePub != nil {
		if !bytes.Equal(devicePub, f.Key) {
			return Event{}, fail(BadHead, "proof", "signed by another device")
		}
		e.TrustedBecause = TrustKey
	}
	if leafOf(f.Salt, f.Body) != f.Leaf {
		return Event{}, fail(Leaf, "proof", "the event is not that of its leaf")
	}
	if f.N >= e.Head.Events {
		return Event{}, fail(Count, "proof", "the head is older than the event")
	}
	path := make([][32]byte, len(f.Path))
	for i, h := range f.Path {
		path[i] = h
	}
	if root, ok := climb(f.N, e.Head.Events, recordHash(f.Leaf), path); !ok || root != e.Head.Tree {
		return Event{}, fail(Path, "proof", "the path does not lead to the head's tree")
	}
	return e, nil
}

// trimLine takes off the one line break that a file may end with.
func trimLine(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) }

// Fingerprint names a root public key: what Options.Root expects.
func Fingerprint(root ed25519.PublicKey) [32]byte { return digest(domainRoot, root) }

// ParseFingerprint reads the 64 lower-case hexadecimal digits of a root
// fingerprint. Its error is an *Error of class Format.
func ParseFingerprint(s string) (*[32]byte, error) {
	var h hash
	if h.UnmarshalText([]byte(s)) != nil {
		return nil, fail(Format, "", "a root fingerprint is 64 lower-case hexadecimal digits")
	}
	return (*[32]byte)(&h), nil
}

// The digest domains (spec/ledger.md); each ends in NUL.
const (
	domainStatement = "thumbturn/statement/v1\x00"
	domainLink      = "thumbturn/link/v1\x00"
	domainLeaf      = "thumbturn/event/v1\x00"
	domainSignature = "thumbturn/root-signature/v1\x00"
	domainRoot      = "thumbturn/root/v1\x00"
	domainVaultKey  = "thumbturn/vault-key/v1\x00"
)

func at(what string, n int64) string { return fmt.Sprintf("%s %d", what, n) }

func short(h [32]byte) string { return hex.EncodeToString(h[:8]) }
