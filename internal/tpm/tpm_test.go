//go:build !windows

package tpm

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/tpm/tpmtest"
)

// chip is a TPM of the test's own: a real one, in software.
type chip struct {
	*tpmtest.Chip
	t    *testing.T
	path string
	stop func()
	// Meddle, where set, stands between: it gets the number of the command and the
	// command, and may answer instead of the TPM.
	meddle func(n int, in []byte) (out []byte, err error, answered bool)
	bend   func(n int, out []byte) []byte // changes an answer
	sent   [][]byte
	got    [][]byte
}

// newChip starts a TPM, and skips the test, loudly, where there is none.
func newChip(t *testing.T) *chip {
	t.Helper()
	c := tpmtest.New(t)
	return &chip{Chip: c, t: t, path: c.Path, stop: c.Stop}
}

// Send implements transport.TPM.
func (c *chip) Send(in []byte) ([]byte, error) {
	n := len(c.sent)
	c.sent = append(c.sent, bytes.Clone(in))
	if c.meddle != nil {
		if out, err, answered := c.meddle(n, in); answered {
			return out, err
		}
	}
	way, err := linuxudstpm.Open(c.path)
	if err != nil {
		return nil, err
	}
	defer way.Close()
	out, err := way.Send(in)
	if err == nil && c.bend != nil {
		out = c.bend(n, out)
	}
	c.got = append(c.got, bytes.Clone(out))
	return out, err
}

func (c *chip) Close() error { return nil }

func (c *chip) tpm() *TPM {
	return &TPM{Dial: func() (transport.TPMCloser, error) { return c, nil }, Rand: rand.Reader}
}

// plain ends all meddling and counts anew.
func (c *chip) plain() { c.meddle, c.bend, c.sent, c.got = nil, nil, nil, nil }

// left fails the test where something is left in the TPM.
func (c *chip) left(what string) {
	c.t.Helper()
	c.plain()
	for _, first := range []uint32{0x80000000, 0x02000000, 0x03000000} { // objects, sessions, saved sessions
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 20}.Execute(c)
		if err != nil {
			c.t.Fatal(err)
		}
		handles, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			c.t.Fatal(err)
		}
		if len(handles.Handle) > 0 {
			c.t.Errorf("%s: left in the TPM: %x", what, handles.Handle)
		}
	}
}

func secretOf(b byte) []byte { return bytes.Repeat([]byte{b}, SecretSize) }

func seal(t *testing.T, to *TPM, secret []byte, pin string) []byte {
	t.Helper()
	blob, err := to.Seal(secret, []byte(pin))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// unseal returns a copy of the secret.
func unseal(to *TPM, blob []byte, pin string) (got []byte, err error) {
	var kept []byte
	err = to.Unseal(blob, []byte(pin), func(s []byte) error {
		got, kept = bytes.Clone(s), s
		return nil
	})
	for _, b := range kept {
		if b != 0 {
			return nil, errors.New("the secret was not wiped")
		}
	}
	return got, err
}

// want compares the kind of an error, and what its hint and message must hold.
func want(t *testing.T, what string, err error, kind fault.Kind, words string) {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Error()+" "+e.Hint, words) {
		t.Errorf("%s: %v (%+v), want %q with %q", what, err, e, kind, words)
	}
}

func TestSealUnseal(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	to := c.tpm()
	// Enough PINs that one of their hashes has a zero byte in it.
	for i := range 12 {
		secret, pin := make([]byte, SecretSize), fmt.Sprintf("%04d\x00", i)
		_, _ = rand.Read(secret)
		blob := seal(t, to, secret, pin)
		got, err := unseal(c.tpm(), blob, pin)
		if err != nil || !bytes.Equal(got, secret) {
			t.Fatalf("PIN %d: %v", i, err)
		}
	}
	again := seal(t, to, secretOf(1), "1234")
	if bytes.Equal(again, seal(t, to, secretOf(1), "1234")) {
		t.Error("two blobs of the same are the same")
	}
	stop := errors.New("stop")
	if err := to.Unseal(again, []byte("1234"), func([]byte) error { return stop }); err != stop {
		t.Errorf("the error of use became %v", err)
	}
	for what, try := range map[string]func() error{
		"short secret": func() error { _, err := to.Seal(secretOf(1)[1:], []byte("1")); return err },
		"no PIN":       func() error { _, err := to.Seal(secretOf(1), nil); return err },
		"long PIN":     func() error { _, err := to.Seal(secretOf(1), make([]byte, MaxPIN+1)); return err },
		"unseal none":  func() error { return to.Unseal(again, nil, nil) },
	} {
		want(t, what, try(), fault.Usage, "")
	}
	c.left("all went well")
}

// Neither the secret nor what the PIN becomes is on the wire, and the PIN is not
// there in any form that a listener could try PINs against.
func TestNothingOnTheWire(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	secret := secretOf(0)
	_, _ = rand.Read(secret)
	blob := seal(t, c.tpm(), secret, "2580")
	if got, err := unseal(c.tpm(), blob, "2580"); err != nil || !bytes.Equal(got, secret) {
		t.Fatal(err)
	}
	b, err := parse(blob)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.sent) < 10 || len(c.got) != len(c.sent) {
		t.Fatalf("matched nothing: %d commands, %d answers", len(c.sent), len(c.got))
	}
	for _, crossed := range append(c.sent, c.got...) {
		for what, v := range map[string][]byte{"secret": secret, "PIN": []byte("2580"), "authorization": derive(b.salt, []byte("2580"))} {
			if bytes.Contains(crossed, v) {
				t.Errorf("the %s is on the wire", what)
			}
		}
	}
	for _, in := range c.sent { // each session is salted and encrypts
		if tpm2.TPMCC(binary.BigEndian.Uint32(in[6:])) == tpm2.TPMCCStartAuthSession && binary.BigEndian.Uint32(in[10:]) == uint32(tpm2.TPMRHNull) {
			t.Error("a session without a salt")
		}
	}
}

func TestWrongPIN(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	c.Limit(4, 1000)
	to := c.tpm()
	blob := seal(t, to, secretOf(7), "1234")
	steps := []struct {
		pin   string
		kind  fault.Kind
		words string
	}{
		{"1235", fault.Passphrase, "3 tries left"},
		{"1234", "", ""},
		{"12340", fault.Passphrase, "2 tries left"},
		{"0", fault.Passphrase, "1 try left"},
		{"1", fault.Passphrase, "last try; it takes one again in at most 16m40s"},
		{"1234", fault.Denied, "in at most 16m40s"},
		{"1", fault.Denied, "in at most 16m40s"},
	}
	for i, s := range steps {
		got, err := unseal(to, blob, s.pin)
		if s.kind != "" {
			want(t, fmt.Sprint("step ", i), err, s.kind, s.words)
		} else if err != nil || !bytes.Equal(got, secretOf(7)) {
			t.Errorf("step %d: %v", i, err)
		}
		c.left(fmt.Sprint("step ", i))
	}
	state, err := to.State()
	if diff := cmp.Diff(State{Manufacturer: "IBM", Failures: 4, Limit: 4, Forgets: 1000 * time.Second, Locked: true}, state); diff != "" || err != nil {
		t.Errorf("state (-want +got): %v\n%s", err, diff)
	}
	c.Limit(4, 1000)
	if got, err := unseal(to, blob, "1234"); err != nil || !bytes.Equal(got, secretOf(7)) {
		t.Errorf("after the lock-out: %v", err)
	}
}

// Where the TPM does not count, nothing is sealed.
func TestNoLimit(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	for _, p := range [][2]uint32{{5, 0}, {maxLimit + 1, 1000}} {
		c.Limit(p[0], p[1])
		_, err := c.tpm().Seal(secretOf(1), []byte("1234"))
		want(t, fmt.Sprint(p), err, fault.Unavailable, "no limit")
		c.left(fmt.Sprint(p))
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	c, other := newChip(t), newChip(t)
	c.Limit(4, 1000)
	to := c.tpm()
	blob := seal(t, to, secretOf(9), "1234")
	for n := range blob {
		_, err := unseal(to, blob[:n], "1234")
		want(t, fmt.Sprint("cut at ", n), err, fault.Tampered, "")
		flipped := bytes.Clone(blob)
		flipped[n] ^= 1 << (n % 8)
		_, err = unseal(to, flipped, "1234")
		want(t, fmt.Sprint("flipped at ", n), err, fault.Tampered, "")
	}
	_, err := unseal(to, append(bytes.Clone(blob), 0), "1234")
	want(t, "one more byte", err, fault.Tampered, "")
	// With the hash made to fit, the TPM itself sees it.
	body, salt := blob[:len(blob)-32], [2]int{len(magic), len(magic) + saltSize}
	for n := range body {
		if n >= salt[0] && n < salt[1] {
			continue // another salt is another PIN
		}
		flipped := bytes.Clone(body)
		flipped[n] ^= 1 << (n % 8)
		sum := checksum(flipped)
		_, err = unseal(to, append(flipped, sum[:]...), "1234")
		want(t, fmt.Sprint("changed at ", n), err, fault.Tampered, "")
	}
	_, err = unseal(other.tpm(), blob, "1234")
	want(t, "another TPM", err, fault.Tampered, "another TPM")
	b, _ := parse(blob)
	b.private = seal(t, other.tpm(), secretOf(9), "1234")[len(magic)+saltSize+nameSize+uniqueSize+2:]
	b.private = b.private[:len(b.private)-32]
	_, err = unseal(to, b.marshal(), "1234")
	want(t, "another TPM's private part", err, fault.Tampered, "")
	if s, err := to.State(); err != nil || s.Failures != 0 {
		t.Errorf("damage cost tries: %+v, %v", s, err)
	}
	if _, err := unseal(to, blob, "1234"); err != nil {
		t.Error(err)
	}
	c.left("damage")
}

// The owner cleared the TPM: its storage key is another one.
func TestCleared(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	blob := seal(t, c.tpm(), secretOf(3), "1234")
	if _, err := (tpm2.Clear{AuthHandle: tpm2.TPMRHLockout}).Execute(c); err != nil {
		t.Fatal(err)
	}
	_, err := unseal(c.tpm(), blob, "1234")
	want(t, "cleared", err, fault.Tampered, "cleared")
	auth := tpm2.TPM2BAuth{Buffer: []byte("owner")}
	if _, err := (tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHOwner, NewAuth: auth}).Execute(c); err != nil {
		t.Fatal(err)
	}
	_, err = c.tpm().Seal(secretOf(3), []byte("1234"))
	want(t, "an owner's password", err, fault.Unavailable, "password")
	c.left("cleared")
}

// Something fails at each command in turn, in each way: it is an error, nobody gets
// a secret, and nothing is left in the TPM.
func TestEachCommandFails(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	c.Limit(1000, 1000)
	blob := seal(t, c.tpm(), secretOf(5), "1234")
	operations := map[string]func() error{
		"seal":   func() error { _, err := c.tpm().Seal(secretOf(5), []byte("1234")); return err },
		"unseal": func() error { _, err := unseal(c.tpm(), blob, "1234"); return err },
		"status": func() error { _, err := c.tpm().State(); return err },
	}
	code := func(rc tpm2.TPMRC) []byte { // as the TPM would say it
		return binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, header}, uint32(rc))
	}
	ways := map[string]func(at int){
		"not sent": func(at int) {
			c.meddle = func(n int, _ []byte) ([]byte, error, bool) { return nil, io.ErrUnexpectedEOF, n == at }
		},
		"no room": func(at int) {
			c.meddle = func(n int, _ []byte) ([]byte, error, bool) { return code(tpm2.TPMRCObjectMemory), nil, n == at }
		},
		"empty": func(at int) {
			c.meddle = func(n int, _ []byte) ([]byte, error, bool) { return nil, nil, n == at }
		},
		"last byte changed": func(at int) {
			c.bend = func(n int, out []byte) []byte {
				if n == at {
					out[len(out)-1] ^= 1
				}
				return out
			}
		},
		"cut": func(at int) {
			c.bend = func(n int, out []byte) []byte {
				if n == at && len(out) > header+4 {
					out = out[:len(out)-1]
					binary.BigEndian.PutUint32(out[2:], uint32(len(out)))
				}
				return out
			}
		},
	}
	for name, operation := range operations {
		c.plain()
		if err := operation(); err != nil {
			t.Fatal(err)
		}
		commands := len(c.sent)
		for way, set := range ways {
			for at := range commands {
				c.plain()
				set(at)
				err := operation()
				what := fmt.Sprint(name, ", ", way, " at ", at)
				// A changed property or a session's last byte may still be an answer.
				if err == nil && (way == "not sent" || way == "no room" || way == "empty") {
					t.Errorf("%s: no error", what)
				}
				// A session that is not the TPM's own gives a MAC that it does not take,
				// as a wrong PIN does.
				forged := fault.Is(err, fault.Passphrase) && name == "unseal" && way == "last byte changed"
				if err != nil && !fault.Is(err, fault.Unavailable) && !forged {
					t.Errorf("%s: %v", what, err)
				}
				flush := at < len(c.sent) && tpm2.TPMCC(binary.BigEndian.Uint32(c.sent[at][6:])) == tpm2.TPMCCFlushContext
				if flush && way != "last byte changed" && way != "cut" { // the test took the flush away itself
					handle := tpm2.TPMHandle(binary.BigEndian.Uint32(c.sent[at][header:]))
					c.plain()
					if _, err := (tpm2.FlushContext{FlushHandle: handle}).Execute(c); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				c.left(what)
			}
		}
	}
}

// The TPM goes away at each command in turn.
func TestGone(t *testing.T) {
	t.Parallel()
	for at := 0; ; at++ {
		c := newChip(t)
		blob := seal(t, c.tpm(), secretOf(5), "1234")
		c.plain()
		c.meddle = func(n int, _ []byte) ([]byte, error, bool) {
			if n == at {
				c.stop()
			}
			return nil, nil, false
		}
		_, err := unseal(c.tpm(), blob, "1234")
		if at >= len(c.sent) {
			if err != nil || at < 6 {
				t.Fatalf("matched nothing: %d commands, %v", at, err)
			}
			return
		}
		want(t, fmt.Sprint("gone at ", at), err, fault.Unavailable, "")
		c.stop()
		_, err = c.tpm().State()
		want(t, "still gone", err, fault.Unavailable, "")
	}
}

// Many at once are one after the other: the TPM has room for no more.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	c := newChip(t)
	to := c.tpm()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			blob, err := to.Seal(secretOf(byte(i)), []byte("1234"))
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := unseal(to, blob, "1234"); err != nil || !bytes.Equal(got, secretOf(byte(i))) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.left("many")
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	_, err := (&TPM{}).State()
	want(t, "the zero TPM", err, fault.Unavailable, "no TPM 2.0")
	for cause, hint := range map[error]string{os.ErrPermission: "tss", os.ErrNotExist: "firmware", io.EOF: "another slot"} {
		to := &TPM{Dial: func() (transport.TPMCloser, error) {
			return nil, &os.PathError{Op: "open", Path: "/dev/tpmrm0", Err: cause}
		}, Rand: rand.Reader}
		_, err := to.Seal(secretOf(1), []byte("1"))
		want(t, fmt.Sprint(cause), err, fault.Unavailable, hint)
	}
	if _, err := os.Stat("/dev/tpmrm0"); err != nil {
		_, err := Open()
		want(t, "this machine", err, fault.Unavailable, "no TPM 2.0")
	}
}
