package winhello

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// The offsets are those that a C compiler gives the structures of webauthn.h on every
// 64-bit Windows.
func TestLayout(t *testing.T) {
	t.Parallel()
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("*** SKIP: a system that we do not build for")
	}
	var d signed
	var c credential
	var l credentials
	var n counted
	var o options
	var a assertion
	for name, tt := range map[string]struct{ got, want []uintptr }{
		"WEBAUTHN_CLIENT_DATA":     {[]uintptr{unsafe.Offsetof(d.Size), unsafe.Offsetof(d.JSON), unsafe.Offsetof(d.Hash), unsafe.Sizeof(d)}, []uintptr{4, 8, 16, 24}},
		"WEBAUTHN_CREDENTIAL_EX":   {[]uintptr{unsafe.Offsetof(c.Size), unsafe.Offsetof(c.ID), unsafe.Offsetof(c.Kind), unsafe.Offsetof(c.Transports), unsafe.Sizeof(c)}, []uintptr{4, 8, 16, 24, 32}},
		"WEBAUTHN_CREDENTIAL_LIST": {[]uintptr{unsafe.Offsetof(l.List), unsafe.Sizeof(l)}, []uintptr{8, 16}},
		"WEBAUTHN_EXTENSIONS":      {[]uintptr{unsafe.Offsetof(n.List), unsafe.Sizeof(n)}, []uintptr{8, 16}},
		"..._GET_ASSERTION_OPTIONS": {[]uintptr{unsafe.Offsetof(o.Timeout), unsafe.Offsetof(o.Credentials), unsafe.Offsetof(o.Extensions), unsafe.Offsetof(o.Attachment),
			unsafe.Offsetof(o.Verify), unsafe.Offsetof(o.Flags), unsafe.Offsetof(o.AppID), unsafe.Offsetof(o.UsedAppID), unsafe.Offsetof(o.Cancel),
			unsafe.Offsetof(o.Allow), unsafe.Sizeof(o)}, []uintptr{4, 8, 24, 40, 44, 48, 56, 64, 72, 80, 88}},
		"WEBAUTHN_ASSERTION": {[]uintptr{unsafe.Offsetof(a.AuthenticatorSize), unsafe.Offsetof(a.Authenticator), unsafe.Offsetof(a.SignatureSize), unsafe.Offsetof(a.Signature),
			unsafe.Offsetof(a.Credential), unsafe.Offsetof(a.Credential.Size), unsafe.Offsetof(a.Credential.ID), unsafe.Offsetof(a.UserSize), unsafe.Offsetof(a.User)},
			[]uintptr{4, 8, 16, 24, 32, 4, 8, 56, 64}},
		"GUID": {[]uintptr{unsafe.Sizeof(guid{})}, []uintptr{16}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func text(s string) *uint16 { return &append(utf16.Encode([]rune(s)), 0)[0] }

func question() Question {
	return Question{RPID: "vault-x.localhost", Origin: "http://vault-x.localhost:4711", Challenge: [32]byte{0xfb, 0xff}, Credentials: [][]byte{{1, 2, 3}, {4}}}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	id := &guid{7}
	a, err := ask(question(), id, text)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"webauthn.get","challenge":"-_8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","origin":"http://vault-x.localhost:4711","crossOrigin":false}`
	if string(a.data) != want || !json.Valid(a.data) {
		t.Errorf("what is signed: %s", a.data)
	}
	if got := unsafe.Slice(a.about.JSON, a.about.Size); string(got) != want {
		t.Errorf("what the system reads: %s", got)
	}
	if hash := utf16.Decode(unsafe.Slice(a.about.Hash, 7)); string(hash) != "SHA-256" {
		t.Errorf("the hash: %q", string(hash))
	}
	o := a.how
	if o.Version != 4 || o.Timeout != 60000 || o.Attachment != platform || o.Verify != verified || o.Flags != 0 || o.Cancel != id || o.Allow.Count != 2 {
		t.Errorf("%+v", o)
	}
	for i, want := range question().Credentials {
		c := unsafe.Slice(o.Allow.List, o.Allow.Count)[i]
		if !bytes.Equal(unsafe.Slice(c.ID, c.Size), want) || c.Version != 1 || c.Transports != 0x10 || string(utf16.Decode(unsafe.Slice(c.Kind, 10))) != "public-key" {
			t.Errorf("credential %d: %+v", i, c)
		}
	}
	for name, spoil := range map[string]func(*Question){
		"no page":       func(q *Question) { q.RPID = "" },
		"no origin":     func(q *Question) { q.Origin = "" },
		"no passkey":    func(q *Question) { q.Credentials = nil },
		"an empty id":   func(q *Question) { q.Credentials[1] = nil },
		"a long id":     func(q *Question) { q.Credentials[1] = make([]byte, 1024) },
		"too many keys": func(q *Question) { q.Credentials = make([][]byte, 65) },
	} {
		q := question()
		spoil(&q)
		if _, err := ask(q, id, text); err == nil {
			t.Errorf("%s was asked for", name)
		}
	}
}

// Of what the system gives, nothing is read that it does not vouch for, and not more
// than an assertion can be.
func TestAnswer(t *testing.T) {
	t.Parallel()
	given := func() *assertion {
		a := &assertion{Version: 1, AuthenticatorSize: 37, Authenticator: 100, SignatureSize: 70, Signature: 200}
		a.Credential.Size, a.Credential.ID = 16, 300
		return a
	}
	read := func(at uintptr, size uint32) ([]byte, error) { return bytes.Repeat([]byte{byte(at)}, int(size)), nil }
	got, err := given().answer([]byte("{}"), read)
	if err != nil || len(got.AuthenticatorData) != 37 || len(got.Signature) != 70 || len(got.Credential) != 16 || got.Signature[0] != 200 || string(got.ClientData) != "{}" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*assertion){
		"no data":          func(a *assertion) { a.Authenticator = 0 },
		"empty data":       func(a *assertion) { a.AuthenticatorSize = 0 },
		"no signature":     func(a *assertion) { a.Signature = 0 },
		"a long signature": func(a *assertion) { a.SignatureSize = 1 << 30 },
		"no credential":    func(a *assertion) { a.Credential.ID = 0 },
		"a long one":       func(a *assertion) { a.Credential.Size = 1024 },
	} {
		a := given()
		spoil(a)
		if got, err := a.answer(nil, read); err == nil || got.Signature != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	broken := func(uintptr, uint32) ([]byte, error) { return nil, errors.New("not there") }
	if _, err := given().answer(nil, broken); err == nil {
		t.Error("what cannot be read was read")
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	if err := result(0); err != nil {
		t.Error(err)
	}
	for code, want := range map[uint32]struct {
		kind fault.Kind
		said string
	}{
		0x80090036: {fault.Denied, "not waited for"}, 0x800704C7: {fault.Denied, "not waited for"}, 0x800705B4: {fault.Denied, "in time"},
		0x80090011: {fault.Denied, "no passkey"}, 0x80090035: {fault.Unavailable, "not set up"}, 0x80090029: {fault.Unavailable, "not set up"},
		0x80070032: {fault.Unavailable, "not set up"}, 0x80090027: {fault.Unavailable, "did not understand"},
		1: {fault.Unavailable, "failed"}, 0x80004005: {fault.Unavailable, "failed"}, 0xFFFFFFFF: {fault.Unavailable, "failed"},
	} {
		if err := result(code); !fault.Is(err, want.kind) || !strings.Contains(err.Error(), want.said) {
			t.Errorf("%#x: %v", code, err)
		}
	}
}
