package proof

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/thumbturn/thumbturn/internal/proof/internal/form"
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

// What internal/form lays down, by the names of this package.
type (
	hash = form.Hash
	base = form.Base
)

func strict(b []byte, v any) bool { return form.Strict(b, v) }

func digest(domain string, parts ...[]byte) [32]byte { return form.Digest(domain, parts...) }

func fail(c Class, at, msg string) error { return form.Fail(c, at, msg) }
