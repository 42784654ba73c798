package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk"
)

// The values of api.Auth's Source.
const (
	FromTerminal = "terminal"
	FromFile     = "file"
)

// Passphrase reads a passphrase from file, or asks for it without echo when
// file is empty. The caller wipes it. Files serve test homes only, which the
// daemon enforces by the source.
func (c *Console) Passphrase(prompt, file string) ([]byte, api.Auth, error) {
	if file != "" {
		b, err := SecretFile(file)
		return b, api.Auth{Source: FromFile}, err
	}
	if !c.Prompt.IsTerminal() {
		return nil, api.Auth{}, fault.New(fault.Unavailable, "", "", "a passphrase is typed at a terminal, and there is none")
	}
	b, err := c.Prompt.Hidden(prompt)
	if err != nil {
		return nil, api.Auth{}, err
	}
	if len(b) == 0 {
		return nil, api.Auth{}, fault.New(fault.Passphrase, "", "", "nothing was typed")
	}
	return b, api.Auth{Source: FromTerminal}, nil
}

// Presence asks for the presence passphrase; where it has ended, for the PIN of this
// device, where that is set. Where nothing is typed and passkeys approve it returns
// none: the daemon asks a passkey then. What waits, and for which finger, is told here.
func (c *Console) Presence(ctx context.Context, s *sdk.Client, file string) ([]byte, api.Auth, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return nil, api.Auth{}, err
	}
	s.Waiting = c.Waiting
	by := st.Approval
	if file == "" && !by.Passphrase && by.PIN {
		p, auth, err := c.PIN(by.Passkeys > 0, "a passkey", "")
		if err != nil || len(p) > 0 {
			return p, auth, err
		}
	}
	if file == "" && by.Passkeys > 0 && !by.Passphrase {
		return nil, api.Auth{Source: FromTerminal}, nil
	}
	return c.Passphrase("presence passphrase: ", file)
}

// PIN reads the PIN of this device from file, or asks for it. With another way, Enter
// alone chooses that, and nothing is returned.
func (c *Console) PIN(other bool, way, file string) ([]byte, api.Auth, error) {
	if file == "" && other {
		c.Say("the PIN of this device approves; or press Enter alone for %s", way)
		if c.Prompt.IsTerminal() {
			p, err := c.Prompt.Hidden("PIN: ")
			return p, api.Auth{Source: FromTerminal, Kind: api.TypedPIN}, err
		}
	}
	p, auth, err := c.Passphrase("PIN: ", file)
	auth.Kind = api.TypedPIN
	return p, auth, err
}

// SecretFile reads a passphrase or code from a regular file that nobody else
// can read, and trims one newline at its end. The size is limited to 4 KiB.
func SecretFile(path string) ([]byte, error) {
	fail := func(msg string) ([]byte, error) { return nil, fault.New(fault.Usage, "read", path, msg) }
	if fi, err := os.Lstat(path); err != nil {
		return fail("no such file, or not readable")
	} else if !fi.Mode().IsRegular() {
		return fail("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return fail("no such file, or not readable")
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return fail("not a regular file")
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		return fail(fmt.Sprintf("others can read it (mode %04o, want 0600)", fi.Mode().Perm()))
	}
	b, err := readAll(f, 4<<10)
	if err != nil {
		return fail("cannot be read or is too long")
	}
	b = TrimNewline(b)
	if len(b) == 0 {
		return fail("is empty")
	}
	return b, nil
}

// Stdin reads a value from standard input and trims one newline at its end.
func (c *Console) Stdin() ([]byte, error) {
	b, err := readAll(c.In, api.MaxValue)
	if err != nil {
		return nil, fault.New(fault.Usage, "read", "stdin", "cannot be read or is too long")
	}
	return TrimNewline(b), nil
}

// TrimNewline cuts one "\n" or "\r\n" off the end of b.
func TrimNewline(b []byte) []byte {
	if t, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		return bytes.TrimSuffix(t, []byte("\r"))
	}
	return b
}

// readAll is io.ReadAll that leaves no outgrown copies of a secret behind.
func readAll(r io.Reader, limit int) ([]byte, error) {
	buf := make([]byte, 0, 4<<10)
	for {
		if len(buf) == cap(buf) {
			bigger := make([]byte, len(buf), 2*cap(buf))
			copy(bigger, buf)
			clear(buf)
			buf = bigger
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > limit {
			clear(buf)
			return nil, fmt.Errorf("over the limit of %d bytes", limit)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			clear(buf)
			return nil, err
		}
	}
}
