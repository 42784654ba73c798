// Package form is what a reference's parameter makes of an opened value: a
// one-time code of its seed, a private key in OpenSSH's form. It stands inside
// the waist, between opening and delivery, and keeps nothing.
package form

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

// Lend gives use what the reference asks for of text, the value that it names.
// The parameter is that of the reference as it stands in the request: what was
// approved, not what a client says beside it. A parameter that asks for
// something else than a value is fault.Usage.
func Lend(name string, text []byte, now time.Time, use func([]byte) error) error {
	r, err := ref.Parse(name)
	if err != nil {
		return fault.Wrap(fault.Usage, "release", name, err)
	}
	if AsItIs(r.Query) {
		return use(text)
	}
	switch r.Query {
	case ref.QueryOTP:
		code, ok := code(text, now)
		if !ok {
			return fault.New(fault.Usage, "release", name, "the field holds no one-time password").
				WithHint("its value must be an otpauth:// address or a Base32 seed")
		}
		defer clear(code)
		return use(code)
	case ref.QueryOpenSSH:
		out, ok := openSSH(text)
		if !ok {
			return fault.New(fault.Usage, "release", name, "the field holds no private key that can be written in OpenSSH's form")
		}
		defer clear(out)
		return use(out)
	}
	return fault.New(fault.Usage, "release", name, "the parameter asks for no value").
		WithHint("`thumbturn item get` shows what is known of a field")
}

// AsItIs reports whether a parameter asks for the value and for no form of it.
func AsItIs(q ref.Query) bool {
	return q == "" || q == ref.QueryValue || q == ref.QueryContent
}

// openSSH reads a private key without passphrase in PEM (PKCS #8, PKCS #1, SEC 1
// or OpenSSH's own) and writes it as OpenSSH does.
func openSSH(text []byte) ([]byte, bool) {
	if bytes.Contains(text, []byte("BEGIN OPENSSH PRIVATE KEY")) {
		_, err := ssh.ParseRawPrivateKey(text)
		return bytes.Clone(text), err == nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, false
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = ssh.ParseRawPrivateKey(text); err != nil {
			return nil, false
		}
	}
	out, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, false
	}
	defer clear(out.Bytes)
	return pem.EncodeToMemory(out), true
}
