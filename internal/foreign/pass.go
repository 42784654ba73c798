package foreign

import (
	"bytes"
	"strings"

	"github.com/thumbturn/thumbturn/ref"
)

// Store collects the entries of a password-store, decrypted one by one.
type Store struct {
	b     builder
	wipes []func()
}

// NewStore returns an empty one.
func NewStore() *Store { return &Store{b: builder{Export{Format: Pass}}} }

// Done returns what was collected. To wipe it wipes every text.
func (s *Store) Done() Export {
	e := s.b.done()
	e.wipe = s.Wipe
	return e
}

// Wipe overwrites every text that was added.
func (s *Store) Wipe() {
	for _, f := range s.wipes {
		f()
	}
}

// Skip notes an entry that could not be read.
func (s *Store) Skip(name, reason string) error { return s.b.skip(name, reason) }

// Add takes the entry of that name, "web/github" for web/github.gpg, by the
// usual order of things: the password on the first line, then lines of
// "key: value", an otpauth address, and notes. The values alias text. The title
// is the name with dots for slashes, so that its reference reads well; the
// folder becomes a tag.
func (s *Store) Add(name string, text []byte) error {
	s.wipes = append(s.wipes, func() { clear(text) })
	if !isText([]byte(name)) {
		return s.b.skip(strings.ToValidUTF8(name, "?"), "has a name that is not UTF-8")
	}
	if !isText(text) {
		return s.b.skip(name, "holds a file, not text")
	}
	it := Item{Title: strings.ReplaceAll(name, "/", "."), Category: "PASSWORD"}
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		it.tag(name[:i])
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	first = bytes.TrimSuffix(first, []byte("\r"))
	if bytes.HasPrefix(first, []byte("otpauth://")) {
		it.otp(first)
	} else {
		it.password(first)
	}
	kept := 0 // what is no field is moved to the front of rest: the notes
	for left := rest; len(left) > 0; {
		line := left
		if i := bytes.IndexByte(left, '\n'); i >= 0 {
			line = left[:i+1]
		}
		left = left[len(line):]
		if !it.passLine(bytes.TrimRight(line, "\r\n")) {
			kept += copy(rest[kept:], line)
		}
	}
	it.notes(bytes.Trim(rest[:kept:kept], "\r\n"))
	return s.b.put(it)
}

// passLine takes a line that is a field. What is moved over it later is its own
// line's end at most, so its value is copied.
func (it *Item) passLine(line []byte) bool {
	if bytes.HasPrefix(line, []byte("otpauth://")) {
		it.otp(bytes.Clone(line))
		return true
	}
	key, value, ok := bytes.Cut(line, []byte(": "))
	if value = bytes.TrimSpace(value); !ok || len(value) == 0 || !passKey(key) {
		return false
	}
	value = bytes.Clone(value)
	switch ref.Fold(string(key)) {
	case "user", "username", "login":
		it.Category = "LOGIN"
		it.username(value)
	case "url", "website", "uri":
		it.Category = "LOGIN"
		it.address(value)
	case "otpauth", "otp", "totp":
		it.otp(value)
	default:
		it.add("", string(key), "CONCEALED", value)
	}
	return true
}

// passKey reports whether text before a colon is a name and not the beginning
// of a sentence or of a nested value.
func passKey(key []byte) bool {
	for i, c := range key {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte(" _-.", c) < 0) {
			return false
		}
	}
	return len(key) > 0 && len(key) <= 40
}
