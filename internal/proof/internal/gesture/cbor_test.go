package gesture

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var cborItems = []struct {
	name, hex string
	ok        bool
}{
	{"zero", "00", true}, {"23", "17", true}, {"24", "1818", true}, {"256", "190100", true}, {"65536", "1a00010000", true}, {"2^32", "1b0000000100000000", true},
	{"negative", "3863", true}, {"bytes", "43010203", true}, {"text", "63e282ac", true}, {"array", "830102 80", true}, {"map", "a2 01 02 20 6161", true},
	{"false", "f4", true}, {"true", "f5", true}, {"null", "f6", true}, {"half", "f93c00", true}, {"double", "fb3ff0000000000000", true},
	{"nested to the bound", strings.Repeat("81", 8) + "00", true},

	{"nothing", "", false}, {"23 in two bytes", "1817", false}, {"255 in three bytes", "1900ff", false}, {"65535 in five", "1a0000ffff", false},
	{"2^32-1 in nine", "1b00000000ffffffff", false}, {"reserved length", "1c", false}, {"cut number", "19ff", false}, {"indefinite bytes", "5f4101ff", false},
	{"indefinite text", "7f6161ff", false}, {"indefinite array", "9f01ff", false}, {"indefinite map", "bf0102ff", false}, {"break", "ff", false},
	{"cut bytes", "4301", false}, {"huge bytes", "5bffffffffffffffff", false}, {"text not UTF-8", "61ff", false}, {"cut array", "8201", false},
	{"huge array", "9bffffffffffffffff", false}, {"cut map", "a101", false}, {"huge map", "bbffffffffffffffff", false}, {"key twice", "a2 01 02 01 03", false},
	{"key twice, deep", "81 a2 6161 00 6161 00", false}, {"tag", "c000", false}, {"undefined", "f7", false}, {"simple 19", "f3", false}, {"simple 32", "f820", false},
	{"nested deeper", strings.Repeat("81", 9) + "00", false}, {"maps nested deeper", strings.Repeat("a100", 9) + "00", false}, {"bad value", "a1 00 ff", false}, {"bad key", "a1 ff 00", false},
}

func TestCBOR(t *testing.T) {
	for _, c := range cborItems {
		b := unhex(t, c.hex)
		rest, ok := cborItem(append(bytes.Clone(b), 0x42), cborDepth)
		if whole := len(rest) == 1; ok && whole != c.ok || !ok && c.ok {
			t.Errorf("%s: %v, %d bytes left", c.name, ok, len(rest))
		}
		if _, ok := cborItem(b, cborDepth); ok != c.ok {
			t.Errorf("%s alone: %v", c.name, ok)
		}
	}
}

const (
	// The generator of P-256, and a public key of RFC 8032, section 7.1.
	pointX    = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	pointY    = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
	edwards   = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	goodES256 = "a5 01 02 03 26 20 01 21 5820" + pointX + "22 5820" + pointY
	goodEdDSA = "a4 01 01 03 27 20 06 21 5820" + edwards
)

// modulus is an odd number of so many bytes.
func modulus(n int) string { return "c1" + strings.Repeat("5a", n-2) + "01" }

func rsaHex(length, n, e string) string {
	return "a4 01 03 03 390100 20 59" + length + n + "21" + e
}

func keyCases() []struct {
	name, hex string
	ok        bool
} {
	swap := func(in, old, new string) string {
		if !strings.Contains(in, old) {
			panic(old)
		}
		return strings.Replace(in, old, new, 1)
	}
	goodRS256 := rsaHex("0100", modulus(256), "43010001")
	return []struct {
		name, hex string
		ok        bool
	}{
		{"ES256", goodES256, true}, {"EdDSA", goodEdDSA, true}, {"RS256", goodRS256, true},
		{"members in another order", "a5 20 01 01 02 03 26 22 5820" + pointY + "21 5820" + pointX, true},
		{"RS256 with e 3", rsaHex("0100", modulus(256), "4103"), true}, {"RS256 of 8192 bits", rsaHex("0400", modulus(1024), "43010001"), true},

		{"nothing", "", false}, {"no map", "80", false}, {"empty map", "a0", false}, {"bytes after", goodES256 + "00", false}, {"cut", goodES256[:len(goodES256)-2], false},
		{"member twice", swap(goodES256, "a5 01 02", "a6 01 02 01 02"), false}, {"a long form", swap(goodES256, "03 26", "03 3806"), false},
		{"no algorithm", swap(goodES256, "a5 01 02 03 26", "a4 01 02"), false}, {"ES256K", swap(goodES256, "03 26", "03 382e"), false}, {"ES384", swap(goodES256, "03 26", "03 3822"), false},
		{"P-384", swap(goodES256, "20 01", "20 02"), false}, {"kind of another", swap(goodES256, "01 02 03", "01 01 03"), false},
		{"a member more", swap(goodES256, "a5", "a6 04 00"), false}, {"a private key", swap(goodES256, "a5", "a6 23 5820"+pointX), false},
		{"off the curve", swap(goodES256, pointY, pointX), false}, {"infinity", "a5 01 02 03 26 20 01 21 40 22 40", false},
		{"x beyond the field", swap(goodES256, pointX, strings.Repeat("ff", 32)), false}, {"compressed", swap(goodES256, "22 5820"+pointY, "22 f5"), false},
		{"x too short", swap(goodES256, "5820"+pointX, "581f"+pointX[2:]), false}, {"y too long", swap(goodES256, "5820"+pointY, "5821"+"00"+pointY), false},
		{"x as text", swap(goodES256, "21 5820"+pointX, "21 60"), false}, {"Ed448", swap(goodEdDSA, "20 06", "20 07"), false}, {"X25519", swap(goodEdDSA, "20 06", "20 04"), false},
		{"EdDSA with a member more", swap(goodEdDSA, "a4", "a5 04 00"), false}, {"EdDSA too short", "a4 01 01 03 27 20 06 21 581f" + edwards[2:], false},
		{"PS256", swap(goodRS256, "390100", "3824"), false}, {"RS1", swap(goodRS256, "390100", "39fffe"), false}, {"RS256 with a member more", swap(goodRS256, "a4", "a5 04 00"), false},
		{"1024 bits", "a4 01 03 03 390100 20 5880" + modulus(128) + "21 43010001", false},
		{"2047 bits", rsaHex("0100", "41"+modulus(256)[2:], "43010001"), false}, {"8200 bits", rsaHex("0401", modulus(1025), "43010001"), false},
		{"n with a zero before", rsaHex("0101", "00"+modulus(256), "43010001"), false}, {"n even", rsaHex("0100", modulus(256)[:510]+"02", "43010001"), false}, {"no n", "a4 01 03 03 390100 20 40 21 43010001", false},
		{"e 1", rsaHex("0100", modulus(256), "4101"), false}, {"e 2", rsaHex("0100", modulus(256), "4102"), false}, {"e even", rsaHex("0100", modulus(256), "43010000"), false},
		{"no e", rsaHex("0100", modulus(256), "40"), false}, {"e with a zero before", rsaHex("0100", modulus(256), "4400010001"), false}, {"e too large", rsaHex("0100", modulus(256), "44ffffffff"), false},
		{"e of five bytes", rsaHex("0100", modulus(256), "450100000001"), false}, {"e of nine bytes", rsaHex("0100", modulus(256), "49010000000000000003"), false},
	}
}

func TestKeys(t *testing.T) {
	for _, c := range keyCases() {
		signed, ok := readKey(unhex(t, c.hex))
		if ok != c.ok {
			t.Errorf("%s: %v", c.name, ok)
		}
		if ok && (signed(nil, nil) || signed([]byte("m"), make([]byte, 64))) {
			t.Errorf("%s: anything is signed", c.name)
		}
	}
}

// FuzzKey looks for a panic, and for a key with two encodings beyond the order of
// its members: one byte changed is another key, or none.
func FuzzKey(f *testing.F) {
	for _, c := range keyCases() {
		f.Add(unhex(f, c.hex))
	}
	for _, c := range cborItems {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if rest, ok := cborItem(b, cborDepth); ok && (len(rest) >= len(b) || !bytes.HasSuffix(b, rest)) {
			t.Fatalf("%x: %x is left", b, rest)
		}
		signed, ok := readKey(b)
		if !ok {
			return
		}
		if _, again := readKey(append(bytes.Clone(b), 0)); again {
			t.Fatal("bytes after a key")
		}
		if signed(b, b) {
			t.Fatal("anything is signed")
		}
	})
}
