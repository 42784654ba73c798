// Package shim gives a program a terminal of its own while this process stays
// between that and the person's terminal. It works on Linux; elsewhere no two
// files fit.
//
// Three processes take part. This one copies: it reads what is typed and passes
// it on to a new pseudo-terminal, whose output its caller reads. The leader, our
// own binary again, leads the session on that pseudo-terminal; it tells of the
// program's stops and of its end, for a program that led the session itself
// could not be stopped. The last one, our own binary again too, waits in its own
// process group, in the foreground, and becomes the program. The arguments and
// the environment of the program go to that last process alone.
//
// Manners: the person's terminal is raw only while the program has it. Close
// puts it back; if this process is killed, the leader does, and the program is
// hung up. A stop of the program stops this process and its group, so that the
// shell gets the terminal.
package shim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Command is the first argument that makes our binary a leader, or, with
// another one, what becomes the program.
const Command = "__shim"

// ErrGone is returned when the leader ended before the program did.
var ErrGone = errors.New("shim: what led the program's terminal is gone")

// kind says what a message between this process and the leader means.
type kind byte

const (
	ready   kind = 'r' // leader: the last process waits in the foreground
	stopped kind = 't' // leader: the program was stopped by the signal
	ended   kind = 'e' // leader: the program ended with this wait status
	pass    kind = 's' // pass the signal on to the program
	resume  kind = 'c' // continue the program
	hangup  kind = 'h' // the person's terminal is gone
)

// message is five bytes on the wire: the kind, and the number, little-endian.
type message struct {
	kind  kind
	value uint32
}

func send(w io.Writer, k kind, value uint32) error {
	_, err := w.Write(binary.LittleEndian.AppendUint32([]byte{byte(k)}, value))
	return err
}

// receive passes on what comes until the end, and then closes the channel.
func receive(r io.Reader, to chan<- message) {
	defer close(to)
	var b [5]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return
		}
		to <- message{kind(b[0]), binary.LittleEndian.Uint32(b[1:])}
	}
}

// maxRequest bounds a request, in bytes; Linux itself takes no more than 6 MiB
// of arguments and environment by default.
const maxRequest = 64 << 20

// request is what the last process becomes. None of the texts holds a NUL.
type request struct {
	path      string
	args, env []string
}

var errRequest = errors.New("shim: not a request")

// write sends the request: two numbers, the length of the rest and how many
// arguments it has, and then the path, the arguments and the environment, each
// with a NUL at its end. The buffer, which holds values, is wiped.
func (q request) write(w io.Writer) error {
	n := 8 + len(q.path) + 1
	for _, list := range [][]string{q.args, q.env} {
		for _, s := range list {
			n += len(s) + 1
		}
	}
	b := make([]byte, 0, n) // never grown, so that no copy is left behind
	defer func() { clear(b[:cap(b)]) }()
	b = binary.LittleEndian.AppendUint32(b, uint32(n-8))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(q.args)))
	b = append(append(b, q.path...), 0)
	for _, list := range [][]string{q.args, q.env} {
		for _, s := range list {
			b = append(append(b, s...), 0)
		}
	}
	_, err := w.Write(b)
	return err
}

func readRequest(r io.Reader) (request, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return request{}, err
	}
	n, args := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if n > maxRequest {
		return request{}, errRequest
	}
	b := make([]byte, n)
	defer clear(b)
	if _, err := io.ReadFull(r, b); err != nil {
		return request{}, err
	}
	var all []string
	for len(b) > 0 {
		end := bytes.IndexByte(b, 0)
		if end < 0 {
			return request{}, errRequest
		}
		all = append(all, string(b[:end]))
		b = b[end+1:]
	}
	if uint64(len(all)) < 1+uint64(args) {
		return request{}, errRequest
	}
	return request{all[0], all[1 : 1+args], all[1+args:]}, nil
}
