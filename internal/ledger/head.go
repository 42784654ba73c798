package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// Head is what the device key signs after every commit: a C2SP checkpoint over
// the events with one extension line for the statements,
//
//	thumbturn/<device>
//	<number of events>
//	<Merkle root, base64>
//	statements <number> <link, base64>
//
// followed by the signature of the note format.
type Head struct {
	Device     string
	Events     int64
	Root       canon.Hash
	Statements int64
	Link       canon.Hash
}

// Origin is the first line of a device's heads, and the name of its key.
func Origin(device string) string { return "thumbturn/" + device }

// Text returns the signed part of a head.
func (h Head) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\nstatements %d %s\n", Origin(h.Device), h.Events,
		base64.StdEncoding.EncodeToString(h.Root[:]), h.Statements, base64.StdEncoding.EncodeToString(h.Link[:]))
}

var errHead = errors.New("ledger: malformed head")

// parseHead reads the signed part of a head, strictly.
func parseHead(text string) (Head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[4] != "" {
		return Head{}, errHead
	}
	var h Head
	var ok bool
	if h.Device, ok = strings.CutPrefix(lines[0], Origin("")); !ok {
		return h, errHead
	}
	var err error
	if h.Events, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return h, errHead
	}
	f := strings.Split(lines[3], " ")
	if len(f) != 3 || f[0] != "statements" {
		return h, errHead
	}
	if h.Statements, err = strconv.ParseInt(f[1], 10, 64); err != nil {
		return h, errHead
	}
	for _, p := range []struct {
		to   *canon.Hash
		text string
	}{{&h.Root, lines[2]}, {&h.Link, f[2]}} {
		b, err := base64.StdEncoding.Strict().DecodeString(p.text)
		if err != nil || len(b) != 32 {
			return h, errHead
		}
		copy(p.to[:], b)
	}
	if h.Text() != text {
		return h, errHead
	}
	return h, nil
}

// signer makes note signatures with the device key, which stays where it is.
type signer struct {
	name string
	pub  ed25519.PublicKey
	sign func([]byte) []byte
}

func (s signer) Name() string                    { return s.name }
func (s signer) KeyHash() uint32                 { return keyHash(s.name, s.pub) }
func (s signer) Sign(msg []byte) ([]byte, error) { return s.sign(msg), nil }

// Verify implements note.Verifier.
func (s signer) Verify(msg, sig []byte) bool { return ed25519.Verify(s.pub, msg, sig) }

func keyHash(name string, pub ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte("\n\x01"))
	h.Write(pub)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// SignHead returns the note of a head.
func signHead(h Head, s signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: h.Text()}, s)
}

// openHead verifies a note by the device's key and returns its head.
func openHead(b []byte, s signer) (Head, error) {
	n, err := note.Open(b, note.VerifierList(s))
	if err != nil {
		return Head{}, fmt.Errorf("ledger: head not signed by this device: %w", err)
	}
	h, err := parseHead(n.Text)
	if err != nil {
		return h, err
	}
	if Origin(h.Device) != s.name {
		return h, errHead
	}
	return h, nil
}

// emptyRoot is the root of a tree without leaves (RFC 6962).
func emptyRoot() canon.Hash { return sha256.Sum256(nil) }

func treeRoot(n int64, r tlog.HashReader) (canon.Hash, error) {
	if n == 0 {
		return emptyRoot(), nil
	}
	h, err := tlog.TreeHash(n, r)
	return canon.Hash(h), err
}
