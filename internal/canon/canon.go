// Package canon is the one canonical encoding of requests, statements and
// events, and their digests.
//
// A message is marshalled once, as JSON with fields in the order of its Go
// struct, without floats and without optional white space. Those bytes are
// stored, shown, hashed and signed; nothing is ever re-encoded. A reader
// decodes strictly: bytes that are not exactly what the encoder would have
// written are refused, so that no two encodings mean the same thing.
//
// The package is pure: no clock, no I/O, no key.
package canon

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Product is the first element of every context string.
const Product = "thumbturn"

// Hash is a SHA-256 digest. In JSON it is 64 lower-case hexadecimal digits; the
// zero Hash is the parent of a subject's first statement.
type Hash [32]byte

// String returns the hexadecimal form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Upper-case digits and any
// other length are refused.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 64 || bytes.ContainsAny(b, "ABCDEF") {
		return errors.New("canon: a hash is 64 lower-case hexadecimal digits")
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// Bytes is binary data whose JSON form is standard base64 with padding, strict.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(t []byte) error {
	if bytes.ContainsAny(t, "\r\n") {
		return errors.New("canon: line break inside base64")
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(nil, t)
	*b = out
	return err
}

// The digest domains; each ends in NUL, so that none is a prefix of another
// followed by data (spec/request.md, spec/ledger.md).
const (
	DomainRequest   = "thumbturn/request/v1\x00"
	DomainStatement = "thumbturn/statement/v1\x00"
	DomainLink      = "thumbturn/link/v1\x00"
	DomainLeaf      = "thumbturn/event/v1\x00"
	DomainSignature = "thumbturn/root-signature/v1\x00"
	DomainHello     = "thumbturn/hello/v1\x00"
	DomainArgv      = "thumbturn/argv/v1\x00"
	DomainPolicy    = "thumbturn/policy/v1\x00"
	DomainRoot      = "thumbturn/root/v1\x00"
	DomainDevice    = "thumbturn/device/v1\x00"
	DomainVaultKey  = "thumbturn/vault-key/v1\x00"
	DomainProject   = "thumbturn/project/v1\x00"
)

// Digest returns SHA-256(domain || parts...). Use Tuple for more than one part
// whose length is not fixed.
func Digest(domain string, parts ...[]byte) Hash {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

// Tuple encodes parts so that no two different lists give the same bytes: a
// 32-bit big-endian length before each.
func Tuple(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += 4 + len(p)
	}
	out := make([]byte, 0, n)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

// Encode marshals a message in canonical form. It panics on a type that JSON
// cannot express, which is a defect of the program, not of its input.
func Encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("canon: " + err.Error())
	}
	return b
}

// Decode reads canonical bytes into v. Unknown or repeated fields, another
// field order, white space and trailing bytes are refused: decoding then
// encoding again must give the same bytes.
func Decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("canon: %w", err)
	}
	if !bytes.Equal(Encode(v), b) {
		return errors.New("canon: not in canonical form")
	}
	return nil
}

// crockford is lower-case Crockford base32: no i, l, o, u.
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns 128 random bits as 26 characters of lower-case Crockford
// base32.
func NewID(rand io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("canon: no randomness: %w", err)
	}
	return crockford.EncodeToString(b[:]), nil
}

// IsID reports whether s has the form of NewID's results.
func IsID(s string) bool {
	b, err := crockford.DecodeString(s)
	return err == nil && len(b) == 16 && crockford.EncodeToString(b) == s
}

// ShortCode returns eight characters of a digest in two groups, "k3f9-2xq7":
// enough for a person to see that two screens speak of the same request, not
// enough to be a signature.
func ShortCode(h Hash) string {
	s := crockford.EncodeToString(h[:5])
	return s[:4] + "-" + s[4:8]
}
