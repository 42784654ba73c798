package form

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"time"
)

// seed is what a one-time password is made from (RFC 6238). Its zero values are
// those of the RFC.
type seed struct {
	key    []byte
	hash   func() hash.Hash
	digits int
	period int64 // seconds
}

// code is the one-time password of a field's value at a time; the caller wipes
// it. The seed is never a string, for those nobody can wipe; nor can anybody what
// crypto/hmac keeps of the key.
func code(text []byte, now time.Time) ([]byte, bool) {
	s, ok := parseSeed(text)
	defer clear(s.key)
	if !ok {
		return nil, false
	}
	m := hmac.New(s.hash, s.key)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/s.period)))
	sum := m.Sum(nil)
	defer clear(sum)
	at := sum[len(sum)-1] & 15 // RFC 4226, 5.3
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	out := make([]byte, s.digits)
	for i := range out {
		out[len(out)-1-i], n = '0'+byte(n%10), n/10
	}
	return out, true
}

const otpauth = "otpauth://"

// parseSeed reads an otpauth://totp address (the key URI format) or a bare Base32
// seed. Counter-based passwords are not for a value that does not change. The
// caller wipes the key, whether or not all is well.
func parseSeed(text []byte) (seed, bool) {
	s := seed{hash: sha1.New, digits: 6, period: 30}
	text = bytes.TrimSpace(text)
	if len(text) < len(otpauth) || !bytes.EqualFold(text[:len(otpauth)], []byte(otpauth)) {
		return s, s.decode(text)
	}
	text, _, _ = bytes.Cut(text, []byte("#"))
	path, query, _ := bytes.Cut(text[len(otpauth):], []byte("?"))
	if kind, _, _ := bytes.Cut(path, []byte("/")); !bytes.EqualFold(kind, []byte("totp")) {
		return s, false
	}
	seen := map[string]bool{}
	for part := range bytes.SplitSeq(query, []byte("&")) {
		name, value, _ := bytes.Cut(part, []byte("="))
		if n := string(name); !seen[n] { // the first one counts
			seen[n] = true
			if !s.set(n, value) {
				return s, false
			}
		}
	}
	return s, len(s.key) > 0
}

// set takes one parameter of an address; one that is not known says nothing of
// the password.
func (s *seed) set(name string, value []byte) bool {
	switch name {
	case "secret":
		return s.decode(value)
	case "algorithm":
		s.hash = map[string]func() hash.Hash{"": sha1.New, "SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}[strings.ToUpper(string(value))]
		return s.hash != nil
	case "digits", "period":
		n, err := strconv.ParseInt(string(value), 10, 64)
		switch {
		case len(value) == 0:
		case err != nil:
			return false
		case name == "digits":
			s.digits = int(n)
			return 6 <= n && n <= 10
		default:
			s.period = n
			return 1 <= n && n <= 3600
		}
	}
	return true
}

// decode reads a key in Base32 (RFC 4648), by hand, since encoding/base32 works
// on a copy that nobody can wipe. Blanks, line breaks, hyphens and padding count
// for nothing, as a plain byte or percent-encoded.
func (s *seed) decode(text []byte) bool {
	s.key = make([]byte, 0, len(text)*5/8)
	var held uint
	var bits int
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' && i+2 < len(text) {
			var b [1]byte
			if _, err := hex.Decode(b[:], text[i+1:i+3]); err != nil {
				return false
			}
			c, i = b[0], i+2
		}
		switch {
		case 'A' <= c && c <= 'Z':
			held = held<<5 | uint(c-'A')
		case 'a' <= c && c <= 'z':
			held = held<<5 | uint(c-'a')
		case '2' <= c && c <= '7':
			held = held<<5 | uint(c-'2'+26)
		case strings.IndexByte(" +-=\r\n", c) >= 0:
			continue
		default:
			return false
		}
		if bits += 5; bits >= 8 {
			bits -= 8
			s.key = append(s.key, byte(held>>bits))
			held &= 1<<bits - 1
		}
	}
	return bits < 5 && len(s.key) > 0 // five or more are a character too many
}
