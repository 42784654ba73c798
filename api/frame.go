// Package api is the wire of the Thumbturn socket: frames, messages, and where
// the socket is (spec/socket.md).
//
// A message is one JSON frame followed by as many value frames as its header
// announces, and as many streams: values too long to be held, in parts. A secret
// value is never part of JSON: it has no string form, is not escaped, and is not
// copied by a decoder.
//
// The package is public and imports nothing of Thumbturn's.
package api

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
)

// Version is the protocol version. Both sides refuse any other.
const Version = 1

// Limits on what a peer may send, in bytes.
const (
	MaxHeader = 4 << 20  // a JSON frame
	MaxValue  = 16 << 20 // a value frame
	MaxValues = 4096     // value frames in one message

	MaxStream  = 256 << 20 // a stream
	MaxStreams = 64        // streams of one message
	PartSize   = 64 << 10  // each part of a stream but the last, which has the rest
)

const (
	kindJSON  = 'J'
	kindValue = 'V'
	kindPart  = 'P'
)

// Header begins every message, in both directions.
type Header struct {
	V      int    `json:"v"`
	Op     Op     `json:"op,omitempty"`    // requests only
	More   bool   `json:"more,omitempty"`  // replies: another message of this reply follows
	Error  *Error `json:"error,omitempty"` // replies
	Values int    `json:"values,omitempty"`
	// Streams are the sizes of the streams that follow the values, in bytes. The
	// parts of a request's are sent one stream after the other, each when the
	// daemon has answered with a Send.
	Streams []int64         `json:"streams,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// Error is a failure as the caller may know it. Kind is one of the frozen
// strings of spec/socket.md; an empty kind is an internal error.
type Error struct {
	Kind string `json:"kind"`
	Op   string `json:"op,omitempty"`
	Ref  string `json:"ref,omitempty"`
	Msg  string `json:"msg,omitempty"`
	Hint string `json:"hint,omitempty"`
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Op
	if e.Ref != "" {
		s += " " + e.Ref
	}
	if s != "" && e.Msg != "" {
		s += ": "
	}
	return s + e.Msg
}

// ErrFrame is returned for bytes that are no frame of this protocol.
var ErrFrame = errors.New("api: malformed frame")

// WriteMessage writes a header and its values. The values are neither copied nor
// kept, and over a socket all travel together.
func WriteMessage(w io.Writer, h Header, values ...[]byte) error {
	h.V, h.Values = Version, len(values)
	if err := checkStreams(h.Streams); err != nil {
		return err
	}
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	if len(b) > MaxHeader {
		return fmt.Errorf("api: message of %d bytes is over the limit of %d", len(b), MaxHeader)
	}
	parts := net.Buffers{append(head(kindJSON, len(b)), b...)}
	for _, v := range values {
		if len(v) > MaxValue {
			return fmt.Errorf("api: value of %d bytes is over the limit of %d", len(v), MaxValue)
		}
		parts = append(parts, head(kindValue, len(v)), v)
	}
	_, err = parts.WriteTo(w)
	return err
}

// head is what stands before a frame's payload of n bytes.
func head(kind byte, n int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), kind)
}

// ReadHeader reads a JSON frame. io.EOF means the peer ended between messages.
func ReadHeader(r io.Reader) (Header, error) {
	b, err := readFrame(r, kindJSON, MaxHeader)
	if err != nil {
		return Header{}, err
	}
	var h Header
	if err := json.Unmarshal(b, &h); err != nil {
		return Header{}, fmt.Errorf("%w: %v", ErrFrame, err)
	}
	if h.Values < 0 || h.Values > MaxValues {
		return Header{}, fmt.Errorf("%w: %d values announced", ErrFrame, h.Values)
	}
	if err := checkStreams(h.Streams); err != nil {
		return Header{}, err
	}
	return h, nil
}

// checkStreams bounds what a header announces.
func checkStreams(sizes []int64) error {
	if len(sizes) > MaxStreams {
		return fmt.Errorf("%w: %d streams announced", ErrFrame, len(sizes))
	}
	for _, n := range sizes {
		if n <= MaxValue || n > MaxStream {
			return fmt.Errorf("%w: a stream of %d bytes announced", ErrFrame, n)
		}
	}
	return nil
}

// ReadValue reads one value frame into fresh memory that the caller wipes.
func ReadValue(r io.Reader) ([]byte, error) { return readFrame(r, kindValue, MaxValue) }

// PartLen is the length of the next part of a stream of which left bytes are to
// come.
func PartLen(left int64) int { return int(min(left, PartSize)) }

// WritePart writes a part of a stream: PartLen bytes, neither copied nor kept.
func WritePart(w io.Writer, part []byte) error {
	if len(part) < 1 || len(part) > PartSize {
		return fmt.Errorf("api: a part of %d bytes", len(part))
	}
	parts := net.Buffers{head(kindPart, len(part)), part}
	_, err := parts.WriteTo(w)
	return err
}

// ReadPart fills part, of PartLen bytes, with the next part of a stream. One of
// another length is ErrFrame; the end of r is io.ErrUnexpectedEOF.
func ReadPart(r io.Reader, part []byte) error {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return cutOff(err)
	}
	if n := binary.BigEndian.Uint32(head[:]); head[4] != kindPart || int64(n) != int64(len(part)) {
		return fmt.Errorf("%w: kind %q, %d bytes", ErrFrame, head[4], n)
	}
	_, err := io.ReadFull(r, part)
	return cutOff(err)
}

// cutOff is err, but for the end where none may be.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func readFrame(r io.Reader, kind byte, limit int) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if head[4] != kind || uint64(n) > uint64(limit) {
		return nil, fmt.Errorf("%w: kind %q, %d bytes", ErrFrame, head[4], n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return b, nil
}
