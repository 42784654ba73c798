package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// origin is what a head's first line starts with.
const origin = "thumbturn/"

// maxSignatures bounds the work on one note; witnesses may add theirs.
const maxSignatures = 100

// text is the signed part of a head, a C2SP checkpoint with one extension line.
func (h Head) text() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s%s\n%d\n%s\nstatements %d %s\n", origin, h.Device, h.Events, b64(h.Tree[:]), h.Statements, b64(h.Link[:]))
}

// openHead verifies a note by a device key. Signatures of others are left
// alone, since heads may be cosigned.
func openHead(note string, key []byte, where string) (Head, error) {
	bad := func(msg string) (Head, error) { return Head{}, fail(BadHead, where, msg) }
	if len(key) != ed25519.PublicKeySize {
		return bad("the device key is not an Ed25519 key")
	}
	text, lines, ok := splitNote(note)
	if !ok {
		return bad("not a signed note")
	}
	h, ok := parseHead(text)
	if !ok {
		return bad("malformed head")
	}
	h.Key, h.Note = key, note
	name := origin + h.Device
	sum := sha256.Sum256(append([]byte(name+"\n\x01"), key...))
	signed := false
	for _, line := range lines {
		by, b64, found := strings.Cut(line, " ")
		sig, err := base64.StdEncoding.Strict().DecodeString(b64)
		if err != nil || !found || !plainName(by) || len(sig) < 5 {
			return bad("malformed signature")
		}
		if by != name || string(sig[:4]) != string(sum[:4]) || signed {
			continue
		}
		if !ed25519.Verify(key, []byte(text), sig[4:]) {
			return bad("the device's signature is wrong")
		}
		signed = true
	}
	if !signed {
		return bad("not signed by the device")
	}
	return h, nil
}

// splitNote parts a note into its text and its signature lines, without the
// dash that each of those starts with.
func splitNote(note string) (text string, sigs []string, ok bool) {
	for _, r := range note {
		if r < 0x20 && r != '\n' {
			return "", nil, false
		}
	}
	i := strings.LastIndex(note, "\n\n")
	if i < 0 || !utf8.ValidString(note) {
		return "", nil, false
	}
	text = note[:i+1]
	block, ok := strings.CutSuffix(note[i+2:], "\n")
	if !ok {
		return "", nil, false
	}
	lines := strings.Split(block, "\n")
	if len(lines) > maxSignatures {
		return "", nil, false
	}
	for _, l := range lines {
		s, ok := strings.CutPrefix(l, "— ")
		if !ok {
			return "", nil, false
		}
		sigs = append(sigs, s)
	}
	return text, sigs, true
}

func plainName(s string) bool {
	return s != "" && !strings.ContainsRune(s, '+') && strings.IndexFunc(s, unicode.IsSpace) < 0
}

func parseHead(text string) (h Head, ok bool) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return h, false
	}
	f := strings.Split(lines[3], " ")
	if len(f) != 3 {
		return h, false
	}
	h.Device = strings.TrimPrefix(lines[0], origin)
	var err1, err2 error
	h.Events, err1 = strconv.ParseInt(lines[1], 10, 64)
	h.Statements, err2 = strconv.ParseInt(f[1], 10, 64)
	tree, ok1 := hash64(lines[2])
	link, ok2 := hash64(f[2])
	h.Tree, h.Link = tree, link
	return h, err1 == nil && err2 == nil && ok1 && ok2 && h.Events >= 0 && h.Statements >= 0 && h.text() == text
}

func hash64(s string) (out [32]byte, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return [32]byte(append(b, out[:]...)), err == nil && len(b) == 32
}
