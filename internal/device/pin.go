package device

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Pin is the newest state of the ledger that this device has seen. It is kept
// outside the database, so that an older database is noticed.
type Pin struct {
	Statements uint64   // how many
	Link       [32]byte // of the last statement
	Events     uint64   // how many
	Root       [32]byte // of the tree over the events
	Roster     uint64   // no older version of the roster is accepted
}

// The file holds two slots, each at the start of a block of its own, so that no
// write to one touches a sector of the other:
//
//	magic     8 bytes
//	counter   8, big-endian like all numbers; the higher one is the newer slot
//	statements 8, link 32, events 8, root 32, roster 8
//	checksum 32 = SHA-256(domain, device id, all of the above)
//
// The rest of a block is zero and means nothing.
const (
	pinMagic  = "TTPIN\x00\x00\x01"
	pinDomain = "thumbturn/pin/v1\x00"
	pinBody   = 8 + 8 + 8 + 32 + 8 + 32 + 8
	pinSlot   = pinBody + sha256.Size
	pinBlock  = 4096
	pinFile   = 2 * pinBlock
)

func encodePin(id string, counter uint64, p Pin) []byte {
	b := make([]byte, 0, pinSlot)
	b = append(b, pinMagic...)
	b = binary.BigEndian.AppendUint64(b, counter)
	b = binary.BigEndian.AppendUint64(b, p.Statements)
	b = append(b, p.Link[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Events)
	b = append(b, p.Root[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Roster)
	sum := pinSum(id, b)
	return append(b, sum[:]...)
}

func decodePin(id string, b []byte) (counter uint64, p Pin, ok bool) {
	if len(b) != pinSlot || string(b[:8]) != pinMagic {
		return 0, Pin{}, false
	}
	if sum := pinSum(id, b[:pinBody]); !bytes.Equal(sum[:], b[pinBody:]) {
		return 0, Pin{}, false
	}
	n := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	p = Pin{Statements: n(16), Events: n(56), Roster: n(96)}
	copy(p.Link[:], b[24:56])
	copy(p.Root[:], b[64:96])
	return n(8), p, true
}

// pinSum binds a slot to its device. It finds accidents, not forgers: there is no
// secret in it.
func pinSum(id string, body []byte) [sha256.Size]byte {
	return sha256.Sum256([]byte(pinDomain + id + "\x00" + string(body)))
}

// firstPins is the file of a new device: it has seen nothing, in both slots.
func firstPins(id string) []byte {
	b := make([]byte, pinFile)
	copy(b, encodePin(id, 1, Pin{}))
	copy(b[pinBlock:], encodePin(id, 2, Pin{}))
	return b
}

// untouched reports whether f is what firstPins writes, for whatever device.
func untouched(f io.ReaderAt) bool {
	b := make([]byte, pinFile+1)
	if n, _ := f.ReadAt(b, 0); n != pinFile {
		return false
	}
	none := make([]byte, pinBody-16)
	return string(b[:8]) == pinMagic && bytes.Equal(b[16:pinBody], none) &&
		bytes.Equal(b[pinBlock+16:pinBlock+pinBody], none)
}

// pinStore is what pins need of the open file.
type pinStore interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
	Stat() (os.FileInfo, error)
}

// pins is the open pin file. One slot always holds a synced pin: everything not
// yet synced goes to the other one, over and over, until a sync makes that the
// safe one. So not even a power failure that tears unsynced writes harms both.
type pins struct {
	mu      sync.Mutex
	f       pinStore
	path    string
	id      string
	counter uint64
	now     Pin
	safe    int // the slot that is not written to
}

func openPins(path, id string) (*pins, error) {
	f, err := atomicfile.OpenPrivate(path, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Tampered, "open pin", path, "is missing: a rollback of the database could not be noticed")
	}
	if err != nil {
		return nil, refused("open pin", err)
	}
	s := &pins{f: f, path: path, id: id}
	if err := s.load(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// load reads the newest slot and makes sure that it is on the disk before it
// counts as the safe one.
func (s *pins) load() error {
	var err error
	if s.counter, s.now, s.safe, err = s.newest(); err != nil {
		return err
	}
	if err := s.f.Sync(); err != nil {
		return fault.Wrap(fault.Unavailable, "open pin", s.path, err)
	}
	return nil
}

// newest reads both slots and takes the valid one of the highest counter.
func (s *pins) newest() (counter uint64, p Pin, slot int, err error) {
	info, err := s.f.Stat()
	if err != nil {
		return 0, Pin{}, 0, fault.Wrap(fault.Unavailable, "read pin", s.path, err)
	}
	slot = -1
	for i := range 2 {
		b := make([]byte, pinSlot)
		// A slot beyond the end is as torn as any other.
		if _, err := s.f.ReadAt(b, int64(i)*pinBlock); err != nil && err != io.EOF {
			return 0, Pin{}, 0, fault.Wrap(fault.Unavailable, "read pin", s.path, err)
		}
		if c, q, ok := decodePin(s.id, b); ok && (slot < 0 || c > counter) {
			counter, p, slot = c, q, i
		}
	}
	if slot < 0 || info.Size() > pinFile {
		return 0, Pin{}, 0, fault.New(fault.Tampered, "read pin", s.path, "is not what was written").
			WithHint("whether the database is current cannot be told any more")
	}
	return counter, p, slot, nil
}

func (s *pins) read() (Pin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, p, _, err := s.newest()
	return p, err
}

func (s *pins) set(p Pin, sync, back bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !back {
		if why := s.now.refuses(p); why != "" {
			return fault.New(fault.Held, "set pin", s.path, why)
		}
	}
	slot := 1 - s.safe
	// The counter moves on even if the write fails: what it left behind is unknown.
	s.counter++
	if _, err := s.f.WriteAt(encodePin(s.id, s.counter, p), int64(slot)*pinBlock); err != nil {
		return fault.Wrap(fault.Unavailable, "set pin", s.path, err)
	}
	s.now = p
	if !sync {
		return nil
	}
	if err := s.f.Sync(); err != nil {
		return fault.Wrap(fault.Unavailable, "set pin", s.path, err)
	}
	s.safe = slot
	return nil
}

// refuses says why q may not follow p; empty if it may.
func (p Pin) refuses(q Pin) string {
	switch {
	case q.Statements < p.Statements:
		return "fewer statements than this device has seen"
	case q.Events < p.Events:
		return "fewer events than this device has seen"
	case q.Roster < p.Roster:
		return "an older roster than this device has seen"
	case q.Statements == p.Statements && p.Statements > 0 && q.Link != p.Link:
		return "other statements than this device has seen"
	case q.Events == p.Events && p.Events > 0 && q.Root != p.Root:
		return "other events than this device has seen"
	}
	return ""
}

func (s *pins) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.f.Sync()
	if e := s.f.Close(); err == nil {
		err = e
	}
	return err
}
