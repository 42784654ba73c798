// Package form is what the verifier reads: canonical JSON, the messages of
// spec/request.md, and the failures that it names.
package form

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// Class is why a verification failed.
type Class string

// Format is the class of bytes that are not of the form that the spec lays down.
const Format Class = "format"

// Error is a failed verification. It quotes indexes and subjects, never a body.
type Error struct {
	Class Class
	At    string // "statement 3", "anchor"; may be empty
	Msg   string
}

// Error implements error.
func (e *Error) Error() string {
	if e.At == "" {
		return "proof: " + string(e.Class) + ": " + e.Msg
	}
	return "proof: " + string(e.Class) + ": " + e.At + ": " + e.Msg
}

// Fail returns an *Error.
func Fail(c Class, at, msg string) error { return &Error{c, at, msg} }

// Digest is SHA-256(domain || parts...).
func Digest(domain string, parts ...[]byte) (out [32]byte) {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

// Strict decodes canonical JSON: what v would be encoded to, byte for byte. So
// unknown, missing, repeated and reordered members, white space and other
// spellings of a string are refused, and no two readers understand a line
// differently.
func Strict(b []byte, v any) bool {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return false
	}
	again, err := json.Marshal(v)
	return err == nil && bytes.Equal(again, b)
}

// Hash is 64 lower-case hexadecimal digits in JSON; Base is standard base64 with
// padding. Strict's comparison refuses their other spellings.
type (
	Hash [32]byte
	Base []byte
)

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(t []byte) error {
	if len(t) != 64 || bytes.ContainsAny(t, "ABCDEF") {
		return errors.New("not a hash")
	}
	_, err := hex.Decode(h[:], t)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (b Base) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, b), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Base) UnmarshalText(t []byte) error {
	out, err := base64.StdEncoding.Strict().AppendDecode(nil, t)
	*b = out
	return err
}
