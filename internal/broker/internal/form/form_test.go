package form

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/thumbturn/thumbturn/internal/fault"
)

func lend(t *testing.T, name string, text []byte, at time.Time) (string, error) {
	t.Helper()
	var got []byte
	err := Lend(name, text, at, func(b []byte) error { got = bytes.Clone(b); return nil })
	return string(got), err
}

// TestCode: the vectors of RFC 6238, appendix B, and what may be written around
// a seed.
func TestCode(t *testing.T) {
	seed := func(n int) string {
		return base32.StdEncoding.EncodeToString([]byte(strings.Repeat("1234567890", 7)[:n]))
	}
	const at = "op://v/i/f?attribute=otp"
	for _, c := range []struct {
		value string
		unix  int64
		want  string
	}{
		{"otpauth://totp/x?digits=8&secret=" + seed(20), 59, "94287082"},
		{"otpauth://totp/x?digits=8&algorithm=SHA256&secret=" + seed(32), 59, "46119246"},
		{"otpauth://totp/x?digits=8&algorithm=SHA512&secret=" + seed(64), 59, "90693936"},
		{"otpauth://totp/x?digits=8&secret=" + seed(20), 1111111109, "07081804"},
		{"otpauth://totp/x?digits=8&algorithm=SHA256&secret=" + seed(32), 2000000000, "90698825"},
		{"otpauth://totp/x?digits=8&secret=" + seed(20), 20000000000, "65353130"},
		{seed(20), 59, "287082"},
		{strings.ToLower(seed(20)), 59, "287082"},
		{" gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n", 59, "287082"},
		{"OTPAUTH://TOTP/x?period=60&secret=" + seed(20), 118, "287082"},
		{"otpauth://totp?secret=" + seed(20), 59, "287082"},
		{"otpauth://totp/ACME%20Co:a@b.c?issuer=ACME%20Co&&period=&secret=" + strings.ToLower(seed(20)) + "%3D%3D+&secret=AA#top", 59, "287082"},
	} {
		got, err := lend(t, at, []byte(c.value), time.Unix(c.unix, 0))
		if got != c.want || err != nil {
			t.Errorf("%s at %d: %q, %v; want %s", c.value, c.unix, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "not base32!", "otpauth://hotp/x?counter=1&secret=" + seed(20), "otpauth://totp/x", "otpauth://totp/x?secret=1", "A", "ABC", "ABCDEF", "otpauth://totp/x?secret=%zz" + seed(20),
		"otpauth://totp/x?digits=99&secret=" + seed(20), "otpauth://totp/x?period=0&secret=" + seed(20), "otpauth://totp/x?algorithm=MD5&secret=" + seed(20)} {
		got, err := lend(t, at, []byte(bad), time.Unix(59, 0))
		if got != "" || !fault.Is(err, fault.Usage) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q gave %q, %v", bad, got, err)
		}
	}
}

// What a form made of a value is wiped once it was used.
func TestLendWipes(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"op://v/i/f?attribute=otp":      []byte("GEZDGNBVGY3TQOJQ"),
		"op://v/i/f?ssh-format=openssh": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		var kept []byte
		if err := Lend(name, text, time.Unix(59, 0), func(b []byte) error { kept = b; return nil }); err != nil || len(kept) == 0 {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(kept, make([]byte, len(kept))) {
			t.Errorf("%s: it is still there", name)
		}
	}
}

func TestOpenSSH(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"ed25519": ed, "rsa": rsaKey, "ecdsa": ec} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		out, err := lend(t, "op://v/i/private key?ssh-format=openssh", text, time.Time{})
		if err != nil || !strings.HasPrefix(out, "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ssh.ParsePrivateKey([]byte(out))
		if err != nil || !bytes.Equal(got.PublicKey().Marshal(), want.PublicKey().Marshal()) {
			t.Errorf("%s: another key came out: %v", name, err)
		}
		again, err := lend(t, "op://v/i/f?ssh-format=openssh", []byte(out), time.Time{})
		if err != nil || again != out {
			t.Errorf("%s: OpenSSH's own form is not passed on: %v", name, err)
		}
	}
	for _, bad := range []string{"", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if got, err := lend(t, "op://v/i/f?ssh-format=openssh", []byte(bad), time.Time{}); got != "" || !fault.Is(err, fault.Usage) {
			t.Errorf("%q gave %q, %v", bad, got, err)
		}
	}
}

func TestPlainAndRefused(t *testing.T) {
	for _, q := range []string{"", "?attribute=value", "?attr=content"} {
		if got, err := lend(t, "op://v/i/f"+q, []byte("as it is"), time.Time{}); got != "as it is" || err != nil {
			t.Errorf("%q: %q, %v", q, got, err)
		}
	}
	for _, name := range []string{"op://v/i/f?attribute=type", "op://v/i/f?attribute=size", "op://v", ""} {
		if got, err := lend(t, name, []byte("secret"), time.Time{}); got != "" || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func FuzzSeed(f *testing.F) {
	f.Add([]byte("GEZDGNBVGY3TQOJQ"))
	f.Add([]byte("otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&digits=7&period=15"))
	f.Add([]byte("otpauth://totp/%zz"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseSeed(b)
		if !ok {
			return
		}
		if c, ok := code(b, time.Unix(1e9, 0)); !ok || len(c) != s.digits || s.digits < 6 || s.digits > 10 {
			t.Errorf("%q gave %q", b, c)
		}
	})
}
