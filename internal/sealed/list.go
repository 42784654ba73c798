package sealed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// Text is a long plaintext, lent chunk by chunk: ChunkSize bytes each, but the
// last one, which has the rest. Whoever is lent a chunk must not keep it. Each
// may be called again only where its maker says so.
type Text struct {
	Size int64
	Each func(use func(chunk []byte) error) error
}

// Whole reports whether there is no long text: the zero Text.
func (t Text) Whole() bool { return t.Each == nil }

var errLength = errors.New("sealed: the text is not as long as was said")

// Long seals a text of 1 to MaxLong bytes to a public key, holding no more of it
// than a chunk. Each sealed chunk is a piece, given to keep in order, to be stored
// under its SHA-256; what is returned is the record, the list that names them.
func Long(public []byte, ctx Context, text Text, keep func(name canon.Hash, piece []byte) error) ([]byte, error) {
	if text.Size < 1 || text.Size > MaxLong {
		return nil, fmt.Errorf("sealed: a long value has 1 to %d bytes, not %d", MaxLong, text.Size)
	}
	enc, s, err := sender(public, ctx)
	if err != nil {
		return nil, err
	}
	list := append(Head(FormList), enc...)
	left := text.Size
	err = text.Each(func(chunk []byte) error {
		if len(chunk) == 0 || int64(len(chunk)) != min(left, ChunkSize) {
			return errLength
		}
		i := uint64(text.Size-left) / ChunkSize
		left -= int64(len(chunk))
		ct, err := s.Seal(ChunkAAD(FormList, i, left == 0), chunk)
		if err != nil {
			return fmt.Errorf("sealed: %w", err)
		}
		piece := append(Head(FormPiece), ct...)
		name := canon.Hash(sha256.Sum256(piece))
		list = append(list, name[:]...)
		return keep(name, piece)
	})
	if err == nil && left > 0 {
		err = errLength
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// IsList reports whether a record is a list of pieces. It says nothing of the
// rest of it.
func IsList(record []byte) bool { return bytes.HasPrefix(record, Head(FormList)) }

// List reads a list: the encapsulated key, and the names of the pieces in order.
func List(record []byte) (enc []byte, names []canon.Hash, err error) {
	form, rest, err := Form(record)
	n := (len(rest) - EncSize) / sha256.Size
	if err != nil || form != FormList || n < 1 || n > MaxLong/ChunkSize || len(rest) != EncSize+n*sha256.Size {
		return nil, nil, ErrFormat
	}
	for b := rest[EncSize:]; len(b) > 0; b = b[sha256.Size:] {
		names = append(names, canon.Hash(b[:sha256.Size]))
	}
	return rest[:EncSize], names, nil
}

// Piece reads a piece: the sealed chunk in it. All but the last one of a list are
// full, and none is empty.
func Piece(b []byte, last bool) ([]byte, error) {
	form, ct, err := Form(b)
	n := len(ct) - TagSize
	if err != nil || form != FormPiece || n < 1 || n > ChunkSize || !last && n != ChunkSize {
		return nil, ErrFormat
	}
	return ct, nil
}
