// Package mask replaces known secret values in a byte stream.
//
// A [Matcher] holds the values and their common encodings; each stream gets a
// [Writer] of its own, and all writers share the matcher's tables. A value is
// found however the stream is cut into writes. This is hygiene and no
// promise: whoever writes the stream can split, shift or encrypt a value
// and no matching finds it then.
//
// # Forms
//
// A value is known as it stands, without line ends at its end, and
//
//   - with its inner line feeds as CR LF, which is what a terminal makes of
//     them; of several lines, each of 8 bytes or more alone, but for the
//     boundaries of a PEM block;
//   - from its end to its beginning;
//   - in base64 of either alphabet and base32 of either case, padded or not, at
//     any place it can take among other bytes;
//   - in hexadecimal of one case, together or with a colon or a space between
//     the bytes;
//   - percent-encoded, once or twice, with digits of one case: every byte, or
//     what the common encoders escape;
//   - as JSON writes it in a string, in the styles of the common encoders or
//     with every character as \uXXXX, and as part of JSON in a JSON string;
//   - with the entities of HTML and XML, by name or number, for the few
//     characters that need it or for all;
//   - within the quotes of a shell, of $'...' or of a C string, and with
//     backslashes.
//
// Characters of base64 and base32 shared with a neighbouring byte stay, so at
// most four bits show at each end of a value that stands inside a longer text.
//
// Each form is also found with escape sequences of a terminal (ECMA-48: CSI,
// OSC and the like, up to 4 KiB each) between its characters, and each of base64,
// base32 and hexadecimal with line breaks between them where at least 16 such
// characters stand before the break. What stands between the characters is
// replaced with them. A form with both, with escapes of two kinds, or with some
// characters escaped that the encoder known for that kind leaves alone, is not
// found.
//
// # Holding back
//
// While the end of what was written may be the start of a value, it is held
// back. At least 4 matching bytes are held until the next byte decides or the
// stream ends. Fewer are held for about 5 ms, so that a prompt appears; they
// are then written but stay known, and when the value does come, the rest of
// it is replaced. So whatever the timing, at most the first 3 bytes of a form
// are written, and what stands between them. Memory is fixed: a match with more
// than 4 KiB and twice the longest form between its first and last byte is
// given up. A value cut short by the end of the stream is not a match and
// is written as it came.
package mask

import (
	"errors"
	"sync"
	"time"
)

// Replacement stands in the output for every value found. Values that overlap
// in the stream give one replacement together.
const Replacement = "<concealed by Thumbturn>"

// MinLen is the length in bytes below which a value is not masked: shorter
// ones turn up by chance, and masking them ruins the output while telling the
// reader where they stand.
const MinLen = 6

// ErrWiped is returned by a Writer whose Matcher has no tables, because it
// was wiped or never made by New. Nothing passes unmasked.
var ErrWiped = errors.New("mask: write: the matcher holds no values")

// ErrClosed is returned by a Writer that was closed.
var ErrClosed = errors.New("mask: write: the writer is closed")

// Value is one secret to mask.
type Value struct {
	// Name is what Unmasked calls the value; it is not secret.
	Name string
	// Lend calls use once, before it returns, with the value. New copies the
	// bytes and does not keep the slice. A nil Lend, or one that does not call
	// use, makes the value an unmasked one.
	Lend func(use func([]byte))
}

// Bytes makes a Value that lends b. The caller keeps b, must not change it
// until New has returned, and may wipe it after that.
func Bytes(name string, b []byte) Value {
	return Value{Name: name, Lend: func(use func([]byte)) { use(b) }}
}

// Options changes how writers behave; the zero value is right for a terminal.
type Options struct {
	// AfterFunc calls f on its own goroutine once d has passed, unless stop is
	// called before; stop tells whether it was in time. Nil means
	// time.AfterFunc.
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
}

// Matcher knows a set of values. It may be used by many goroutines. The zero
// value lets no stream pass.
type Matcher struct {
	after    func(time.Duration, func()) func() bool
	unmasked []string

	mu sync.RWMutex
	t  *tables // nil: none, or wiped
}

// New copies values, in all their forms, into tables of its own; end their
// life with Wipe. The tables take about 350 KiB and at most 500 times the
// length of the values.
func New(values []Value, opts Options) *Matcher {
	m := &Matcher{after: opts.AfterFunc}
	if m.after == nil {
		m.after = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	var all forms
	for _, v := range values {
		known := false
		if v.Lend != nil {
			v.Lend(func(b []byte) { known = all.add(b) || known })
		}
		if !known {
			m.unmasked = append(m.unmasked, v.Name)
		}
	}
	m.t = newTables(all)
	return m
}

// Unmasked returns the names of the values that are not masked, in the order
// given to New: those under MinLen bytes, line ends at the end not counted.
func (m *Matcher) Unmasked() []string {
	return append([]string(nil), m.unmasked...)
}

// Wipe overwrites the tables. Writers still open return ErrWiped from then
// on, and keep what they hold back until they are closed.
func (m *Matcher) Wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.t != nil {
		m.t.wipe()
		m.t = nil
	}
}
