package proof

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
)

// maxLine bounds a line of an export in bytes, its line break not counted.
const maxLine = 16 << 20

// The files and lines of spec/ledger.md, their members in order.
type (
	firstLine struct {
		Export int    `json:"export"`
		Head   string `json:"head"`
		Key    base   `json:"device_key"`
	}
	statementLine struct {
		N    int64 `json:"statement"`
		Link hash  `json:"link"`
		Body base  `json:"body"`
		Sig  base  `json:"sig"`
	}
	eventLine struct {
		N    int64 `json:"event"`
		Leaf hash  `json:"leaf"`
		Salt base  `json:"salt"`
		Body base  `json:"body"`
	}
	anchorFile struct {
		Anchor int    `json:"anchor"`
		Head   string `json:"head"`
		Key    base   `json:"device_key"`
	}
	proofFile struct {
		Proof int    `json:"proof"`
		N     int64  `json:"event"`
		Leaf  hash   `json:"leaf"`
		Salt  base   `json:"salt"`
		Body  base   `json:"body"`
		Path  []hash `json:"path"`
		Head  string `json:"head"`
		Key   base   `json:"device_key"`
	}
)

// eachLine hands out the lines of r without their line breaks. A last line
// without one was cut.
func eachLine(r io.Reader, each func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxLine+1)
	s.Split(func(data []byte, eof bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if eof && len(data) > 0 {
			return 0, nil, fail(Format, "", "the last line was cut")
		}
		return 0, nil, nil
	})
	for s.Scan() {
		if err := each(s.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fail(Format, "", "a line is too long")
	}
	return s.Err()
}

// strict decodes canonical JSON: what v would be encoded to, byte for byte. So
// unknown, missing, repeated and reordered members, white space and other
// spellings of a string are refused, and no two readers understand a line
// differently.
func strict(b []byte, v any) bool {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return false
	}
	again, err := json.Marshal(v)
	return err == nil && bytes.Equal(again, b)
}

// hash is 64 lower-case hexadecimal digits in JSON; base is standard base64 with
// padding. strict's comparison refuses their other spellings.
type (
	hash [32]byte
	base []byte
)

// MarshalText implements encoding.TextMarshaler.
func (h hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hash) UnmarshalText(t []byte) error {
	if len(t) != 64 || bytes.ContainsAny(t, "ABCDEF") {
		return errors.New("not a hash")
	}
	_, err := hex.Decode(h[:], t)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (b base) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, b), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *base) UnmarshalText(t []byte) error {
	out, err := base64.StdEncoding.Strict().AppendDecode(nil, t)
	*b = out
	return err
}
