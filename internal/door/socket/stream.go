package socket

import (
	"errors"
	"io"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// inflow is a stream of a request, read while it arrives: one part is in memory
// at a time. The client is asked for it at the first read.
type inflow struct {
	c     *call
	i     int
	left  int64
	asked bool
	buf   []byte
	rest  []byte // of buf, for Read
}

func (c *call) inflow(i int) *inflow { return &inflow{c: c, i: i, left: c.head.Streams[i]} }

// part returns the next part, lent until the next call, and io.EOF after the last.
func (f *inflow) part() ([]byte, error) {
	if f.left == 0 {
		return nil, io.EOF
	}
	if !f.asked {
		f.asked, f.buf = true, make([]byte, api.PartSize)
		if err := f.c.more(api.Send{Send: f.i + 1}); err != nil {
			return nil, f.torn(err)
		}
	}
	part := f.buf[:api.PartLen(f.left)]
	_ = f.c.conn.SetReadDeadline(time.Now().Add(patience))
	if err := api.ReadPart(f.c.conn, part); err != nil {
		return nil, f.torn(err)
	}
	f.left -= int64(len(part))
	return part, nil
}

// torn ends the stream and, with the call, the connection.
func (f *inflow) torn(err error) error {
	f.c.torn, f.left = true, 0
	if errors.Is(err, api.ErrFrame) {
		return fault.Wrap(fault.Protocol, string(f.c.head.Op), "", err)
	}
	return fault.New(fault.Unavailable, string(f.c.head.Op), "", "a value broke off before its end")
}

// Read implements io.Reader.
func (f *inflow) Read(b []byte) (n int, err error) {
	if len(f.rest) == 0 {
		f.rest, err = f.part()
	}
	n = copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, err
}

// end reads past what is left of a stream that was asked for, so that the client
// hears why nobody wants it, and wipes what is in memory.
func (f *inflow) end() {
	for f.asked && f.left > 0 {
		_, _ = f.part()
	}
	clear(f.buf)
	_ = f.c.conn.SetReadDeadline(time.Time{})
}

// stream is the i-th stream of a request, as a text that is lent while it arrives:
// by the time it is taken the broker has found the item and asked the policy.
func (c *call) stream(i int) vault.Text {
	return vault.Text{Size: c.head.Streams[i], Each: func(use func([]byte) error) error {
		f := c.inflow(i)
		defer f.end()
		for {
			part, err := f.part()
			if err == nil {
				err = use(part)
			} else if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}}
}
