package gesture

import (
	"encoding/binary"
	"unicode/utf8"
)

// This is the part of CBOR (RFC 8949) that authenticators may write (CTAP 2.1,
// §8): definite lengths, shortest forms, no tags. So equal values have equal
// bytes, and are compared as such.

// The major types.
const (
	cborUint = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

// cborDepth bounds how deep arrays and maps may lie in one another.
const cborDepth = 8

// cborHead reads the type of the first item of b and its number: a value, or a
// length.
func cborHead(b []byte) (major byte, n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	major, info, rest := b[0]>>5, b[0]&31, b[1:]
	if info < 24 {
		return major, uint64(info), rest, true
	}
	size := 1 << (info - 24)
	if info > 27 || len(rest) < size {
		return 0, 0, nil, false // also every indefinite length
	}
	var wide [8]byte
	copy(wide[8-size:], rest[:size])
	n = binary.BigEndian.Uint64(wide[:])
	// The least number that needs this size.
	least := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]
	return major, n, rest[size:], n >= least || major == cborSimple
}

// cborItem passes over the first item of b, if it is well formed.
func cborItem(b []byte, depth int) (rest []byte, ok bool) {
	major, n, rest, ok := cborHead(b)
	if !ok {
		return nil, false
	}
	switch major {
	case cborUint, cborNegative:
		return rest, true
	case cborBytes, cborText:
		if n > uint64(len(rest)) || major == cborText && !utf8.Valid(rest[:n]) {
			return nil, false
		}
		return rest[n:], true
	case cborArray:
		ok = depth > 0
		for ; ok && n > 0; n-- {
			rest, ok = cborItem(rest, depth-1)
		}
		return rest, ok
	case cborMap:
		_, rest, ok = cborPairs(b, depth)
		return rest, ok
	case cborSimple: // false, true, null, or a float
		info := b[0] & 31
		return rest, info >= 20 && info <= 22 || info >= 25
	}
	return nil, false
}

// cborPairs reads the map that b begins with: encoded values by encoded keys.
func cborPairs(b []byte, depth int) (pairs map[string][]byte, rest []byte, ok bool) {
	major, n, rest, ok := cborHead(b)
	if !ok || major != cborMap || depth <= 0 {
		return nil, nil, false
	}
	pairs = map[string][]byte{}
	for ; n > 0; n-- {
		value, ok := cborItem(rest, depth-1)
		if !ok {
			return nil, nil, false
		}
		after, ok := cborItem(value, depth-1)
		if !ok {
			return nil, nil, false
		}
		key := string(rest[:len(rest)-len(value)])
		if _, twice := pairs[key]; twice {
			return nil, nil, false
		}
		pairs[key], rest = value[:len(value)-len(after)], after
	}
	return pairs, rest, true
}

// cborString is the content of an encoded byte string that is all of b.
func cborString(b []byte) ([]byte, bool) {
	major, n, rest, ok := cborHead(b)
	return rest, ok && major == cborBytes && n == uint64(len(rest))
}
