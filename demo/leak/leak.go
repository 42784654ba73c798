// Package leak makes keys and finds them in what was said, in any spelling.
package leak

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
)

// NewKey makes a key whose URL form differs from its plain one. The prefix
// belongs to nobody.
func NewKey() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // it never fails
	return "demo+" + base64.StdEncoding.EncodeToString(b) + "/="
}

// Seen counts how often a text shows the key, in any spelling that somebody
// would recognise at a glance or a program would decode.
func Seen(text, key string) int {
	n := 0
	for _, f := range forms(key) {
		n += strings.Count(text, f)
	}
	return n
}

// forms are the spellings: plain, reversed, for URLs, hexadecimal, and Base64 of
// both alphabets at each of the three places where it can start in a longer
// text. Of Base64 only the characters stand there that the key alone decides.
func forms(key string) []string {
	raw := []byte(key)
	h := hex.EncodeToString(raw)
	out := []string{key, reversed(key), url.QueryEscape(key), url.PathEscape(key), h, strings.ToUpper(h)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			text := enc.EncodeToString(append(make([]byte, shift), raw...))
			from := (shift*8 + 5) / 6
			out = append(out, text[from:(shift+len(raw))*8/6])
		}
	}
	var unique []string
	for _, f := range out {
		if !contains(unique, f) {
			unique = append(unique, f)
		}
	}
	return unique
}

// contains reports whether a form is found by one that is there already.
func contains(list []string, f string) bool {
	for _, have := range list {
		if strings.Contains(f, have) {
			return true
		}
	}
	return false
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// Hidden is a text without the key, to be shown as evidence.
func Hidden(text, key string) string {
	for _, f := range forms(key) {
		text = strings.ReplaceAll(text, f, "<the key>")
	}
	return text
}
