package socket

import (
	"bufio"

	"github.com/thumbturn/thumbturn/api"
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
