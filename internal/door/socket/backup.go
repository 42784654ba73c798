package socket

import (
	"bufio"
	"bytes"
	"io"

	"github.com/thumbturn/thumbturn/api"
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
// and then streams. The process
// that follows serves the database that was put back.
func (c *call) putBack() error {
	in, err := body[api.Auth](c)
	if err != nil {
		return err
	}
	if len(c.values) < 1 || len(c.values)+len(c.head.Streams) < 2 {
		return fault.New(fault.Protocol, "restore", "", "wrong number of values")
	}
	var pieces []io.Reader
	for _, v := range c.values[1:] {
		pieces = append(pieces, bytes.NewReader(v))
	}
	for i := range c.head.Streams {
		f := c.inflow(i)
		defer f.end()
		pieces = append(pieces, f)
	}
	out, swap, err := c.s.Account.PutBack(c.ctx, c.who, source(in.Source), io.MultiReader(pieces...), c.values[0])
	if err != nil {
		return err
	}
	c.s.Stop() // before the answer: whoever hears it may come at once
	if err := c.reply(out); err != nil {
		c.s.Log("restore: %v", err)
	}
	c.s.Replace(swap)
	return nil
}
