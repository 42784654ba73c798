package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/ref"
)

// Long is a value of more than api.MaxValue bytes: the first Size bytes of From,
// which must end there.
type Long struct {
	Size int64
	From io.Reader
}

// Opener is told the size of a value, once all of it has been verified, and says
// where it goes.
type Opener = func(size int64) (io.Writer, error)

var errChanged = errors.New("the file changed while it was read")

// send writes the parts. A part is in memory at a time. A source that is shorter
// or longer than was said, or fails, ends the connection before the last part.
func (l Long) send(w io.Writer) error {
	buf := make([]byte, api.PartSize)
	defer clear(buf)
	for left := l.Size; left > 0; left -= api.PartSize {
		part := buf[:api.PartLen(left)]
		_, err := io.ReadFull(l.From, part)
		if err == nil && left == int64(len(part)) {
			err = ended(l.From)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errChanged
		}
		if err != nil {
			return &local{err}
		}
		if err := api.WritePart(w, part); err != nil {
			return err
		}
	}
	return nil
}

// ended makes sure that r has nothing more.
func ended(r io.Reader) error {
	n, err := io.ReadFull(r, make([]byte, 1))
	if n == 0 && errors.Is(err, io.EOF) {
		return nil
	}
	if n > 0 {
		return errChanged
	}
	return err
}

// parts reads a value that comes as a stream.
func (c *Client) parts(r reply, h api.Header) error {
	if err := json.Unmarshal(h.Body, r.into); err != nil {
		return api.ErrFrame
	}
	w, err := r.to(h.Streams[0])
	if err != nil {
		return &local{err}
	}
	buf := make([]byte, api.PartSize)
	defer clear(buf)
	for left := h.Streams[0]; left > 0; left -= api.PartSize {
		part := buf[:api.PartLen(left)]
		if err := api.ReadPart(c.conn, part); err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return &local{err}
		}
	}
	return nil
}

// ItemPutLong is ItemPut with values too long to be held: those of the fields with
// Stream true, in order. The daemon asks for each once it has checked that the
// caller may write it, and stores all or nothing.
func (c *Client) ItemPutLong(ctx context.Context, in api.ItemPut, values [][]byte, long []Long, wait OnWaiting) (api.ItemPutReply, error) {
	var out api.ItemPutReply
	err := c.call(ctx, api.OpItemPut, in, values, reply{into: &out, waiting: wait, long: long})
	return out, err
}

// ReleaseTo asks for the value of one reference, of any length, and writes it to
// what to opens, in parts if it is long. Nothing is written before all of it has
// been verified, but a connection may break: what was written is the value only if
// the error is nil. References that ask what is known of a field are answered as
// in Release.
func (c *Client) ReleaseTo(ctx context.Context, want api.Want, to Opener, wait OnWaiting) (api.Released, error) {
	if len(want.Refs) != 1 {
		return api.Released{}, &api.Error{Kind: kindUsage, Op: string(api.OpRelease), Msg: "one reference at a time"}
	}
	var out api.Released
	var got [][]byte
	var err error
	if r, e := ref.Parse(want.Refs[0]); e == nil && about(r.Query) {
		out, got, err = c.Release(ctx, want, wait)
	} else {
		want.Stream = true
		err = c.call(ctx, api.OpRelease, want, nil, reply{into: &out, values: 1, got: &got, to: to, waiting: wait})
	}
	if err != nil || len(got) == 0 {
		return out, err
	}
	defer Wipe(got...)
	w, err := to(int64(len(got[0])))
	if err == nil {
		_, err = w.Write(got[0])
	}
	return out, err
}
