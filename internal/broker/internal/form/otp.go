package form

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"net/url"
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

// code is the one-time password of a field's value at a time.
func code(text []byte, now time.Time) ([]byte, bool) {
	s, ok := parseSeed(text)
	if !ok {
		return nil, false
	}
	defer clear(s.key)
	m := hmac.New(s.hash, s.key)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/s.period)))
	sum := m.Sum(nil)
	at := sum[len(sum)-1] & 15 // RFC 4226, 5.3
	n := uint64(binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff)
	mod := uint64(1)
	for range s.digits {
		mod *= 10
	}
	return fmt.Appendf(nil, "%0*d", s.digits, n%mod), true
}

// parseSeed reads an otpauth://totp address (the key URI format) or a bare Base32
// seed. Counter-based passwords are not for a value that does not change.
func parseSeed(text []byte) (seed, bool) {
	s := seed{hash: sha1.New, digits: 6, period: 30}
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(bytes.ToLower(text[:min(len(text), 10)]), []byte("otpauth://")) {
		return s, s.decode(string(text))
	}
	u, err := url.Parse(string(text))
	if err != nil || !strings.EqualFold(u.Host, "totp") {
		return s, false
	}
	q := u.Query()
	switch strings.ToUpper(q.Get("algorithm")) {
	case "", "SHA1":
	case "SHA256":
		s.hash = sha256.New
	case "SHA512":
		s.hash = sha512.New
	default:
		return s, false
	}
	for _, p := range []struct {
		name     string
		from, to int64
		set      func(int64)
	}{{"digits", 6, 10, func(n int64) { s.digits = int(n) }}, {"period", 1, 3600, func(n int64) { s.period = n }}} {
		if v := q.Get(p.name); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < p.from || n > p.to {
				return s, false
			}
			p.set(n)
		}
	}
	return s, s.decode(q.Get("secret"))
}

func (s *seed) decode(text string) bool {
	text = strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "=", "").Replace(text))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	s.key = key
	return err == nil && len(key) > 0
}
