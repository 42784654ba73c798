package socket

import (
	"bufio"
	"bytes"
	"io"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// chunkSize of a backup's pieces; base64 keeps it below the limit of a message.
const chunkSize = 1 << 20

// chunks sends what is written to it, piece by piece.
type chunks struct{ c *call }

// Write implements io.Writer.
func (w chunks) Write(b []byte) (int, error) {
	if err := w.c.more([]api.Chunk{{Bytes: b}}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// backup streams the bytes; the client writes the file. A path of the client's
// is never opened here: under a user of its own the daemon would write where the
// caller may not.
func (c *call) backup() error {
	w := bufio.NewWriterSize(chunks{c}, chunkSize)
	if err := c.s.Account.Backup(c.ctx, c.who, w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return c.reply([]api.Chunk{})
}

// putBack takes the presence passphrase and the pieces of a backup, values first
// and then streams.
func (c *call) putBack(in api.Auth) error {
	ask, ctx, stop := c.typed(in)
	defer stop()
	return c.replace(1, func(secrets [][]byte, backup io.Reader) (account.Replacement, error) {
		return c.s.Account.PutBack(ctx, c.who, ask, source(in.Source), backup, secrets[0])
	})
}

// recoverFrom takes the recovery code, the new unlock and presence passphrases and
// the pieces of another device's backup.
func (c *call) recoverFrom(in api.Auth) error {
	return c.replace(3, func(secrets [][]byte, backup io.Reader) (account.Replacement, error) {
		return c.s.Account.RecoverFrom(c.ctx, c.who, source(in.Source), backup, secrets[0], secrets[1], secrets[2])
	})
}

// deviceAccept takes the pieces of what another device moved here.
func (c *call) deviceAccept(in api.Auth) error {
	return c.replace(0, func(_ [][]byte, backup io.Reader) (account.Replacement, error) {
		return c.s.Account.Accept(c.ctx, c.who, source(in.Source), backup)
	})
}

// replace takes so many secrets and the pieces of a backup. The process that
// follows serves the database that was put in place.
func (c *call) replace(secrets int, do func(secrets [][]byte, backup io.Reader) (account.Replacement, error)) error {
	if len(c.values) < secrets || len(c.values)+len(c.head.Streams) < secrets+1 {
		return fault.New(fault.Protocol, "restore", "", "wrong number of values")
	}
	var pieces []io.Reader
	for _, v := range c.values[secrets:] {
		pieces = append(pieces, bytes.NewReader(v))
	}
	for i := range c.head.Streams {
		f := c.inflow(i)
		defer f.end()
		pieces = append(pieces, f)
	}
	out, err := do(c.values[:secrets], io.MultiReader(pieces...))
	if err != nil {
		return err
	}
	c.s.Stop() // before the answer: whoever hears it may come at once
	if out.Code == nil {
		err = c.reply(out.Restored)
	} else {
		err = out.Code(func(code []byte) error { return c.reply(out.Restored, code) })
	}
	if err != nil {
		c.s.Log("restore: %v", err)
	}
	if err != nil && out.Code != nil { // nobody has the new code: the old one stays good
		c.s.End(true)
		return nil
	}
	c.s.Replace(out.Swap)
	return nil
}
