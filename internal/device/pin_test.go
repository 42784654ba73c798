//go:build unix

package device

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/fault"
)

const someID = "0123456789abcdefghjkmnpqrs"

// disk is a pin file in memory that can tear a write and fail a sync.
type disk struct {
	b      []byte
	synced []byte // what a power failure leaves
	tear   func(old, b []byte) []byte
	bad    error // of Sync
}

func newDisk() *disk { d := &disk{b: firstPins(someID)}; d.synced = bytes.Clone(d.b); return d }

func (d *disk) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(d.b).ReadAt(b, at) }

func (d *disk) WriteAt(b []byte, at int64) (int, error) {
	if d.tear != nil {
		copy(d.b[at:], d.tear(d.b[at:at+int64(len(b))], b))
		return 0, io.ErrShortWrite
	}
	return copy(d.b[at:], b), nil
}

func (d *disk) Sync() error {
	if d.bad == nil {
		d.synced = bytes.Clone(d.b)
	}
	return d.bad
}

func (d *disk) Close() error { return nil }

func (d *disk) Stat() (os.FileInfo, error) { return size(len(d.b)), nil }

// size is the only thing about the file that is asked for.
type size int64

func (s size) Size() int64        { return int64(s) }
func (s size) Name() string       { return "pin" }
func (s size) Mode() fs.FileMode  { return 0o600 }
func (s size) ModTime() time.Time { return time.Time{} }
func (s size) IsDir() bool        { return false }
func (s size) Sys() any           { return nil }

func open(t rapid.TB, d *disk) *pins {
	t.Helper()
	s := &pins{f: d, path: "pin", id: someID}
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	return s
}

func somePin() *rapid.Generator[Pin] {
	return rapid.Custom(func(t *rapid.T) Pin {
		p := Pin{Statements: rapid.Uint64().Draw(t, "statements"), Events: rapid.Uint64().Draw(t, "events"), Roster: rapid.Uint64().Draw(t, "roster")}
		copy(p.Link[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "link"))
		copy(p.Root[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root"))
		return p
	})
}

func TestPinRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, counter := somePin().Draw(t, "pin"), rapid.Uint64().Draw(t, "counter")
		b := encodePin(someID, counter, p)
		if c, q, ok := decodePin(someID, b); !ok || c != counter || q != p {
			t.Fatalf("%v became %v, %v", p, q, ok)
		}
		if _, _, ok := decodePin("another device", b); ok {
			t.Fatal("accepted for another device")
		}
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, ok := decodePin(someID, b); ok {
			t.Fatal("a changed bit was accepted")
		}
	})
}

// step draws a pin that may follow p.
func step(t *rapid.T, p Pin) Pin {
	q := somePin().Draw(t, "next")
	q.Statements = p.Statements + uint64(rapid.IntRange(1, 3).Draw(t, "more statements"))
	q.Events = p.Events + uint64(rapid.IntRange(1, 3).Draw(t, "more events"))
	q.Roster = p.Roster
	return q
}

// TestTornPin tears one write in any way, after any history: the pin is then the
// one that was written, the one before it, or the last synced one.
func TestTornPin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk()
		s := open(t, d)
		var safe, now Pin
		for range rapid.IntRange(0, 6).Draw(t, "writes") {
			now = step(t, now)
			sync := rapid.Bool().Draw(t, "sync")
			if err := s.set(now, sync, false); err != nil {
				t.Fatal(err)
			}
			if sync {
				safe = now
			}
		}
		d.tear = func(old, b []byte) []byte {
			if rapid.Bool().Draw(t, "garbage") {
				return rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, "written")
			}
			out := bytes.Clone(old)
			copy(out, b[:rapid.IntRange(0, len(b)).Draw(t, "prefix")])
			return out
		}
		torn := step(t, now)
		if err := s.set(torn, false, false); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("error %v", err)
		}
		d.tear = nil
		again := open(t, &disk{b: bytes.Clone(d.b)}) // the process died and came back
		got, err := again.read()
		if err != nil || got != torn && got != now && got != safe {
			t.Fatalf("pin %v, %v after a torn write; safe %v", got, err, safe)
		}
		for _, s := range []*pins{s, again} { // both go on
			last := step(t, torn)
			if err := s.set(last, true, false); err != nil {
				t.Fatal(err)
			}
			if got, err := s.read(); err != nil || got != last {
				t.Fatalf("pin %v, %v, want %v", got, err, last)
			}
			torn = last
		}
	})
}

// TestPowerFailure mixes, sector by sector, what was synced with what was only
// written, tears the last sector, and never loses the synced pin.
func TestPowerFailure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk()
		s := open(t, d)
		var safe, now Pin
		for range rapid.IntRange(1, 8).Draw(t, "writes") {
			now = step(t, now)
			sync := rapid.Bool().Draw(t, "sync")
			if err := s.set(now, sync, false); err != nil {
				t.Fatal(err)
			}
			if sync {
				safe = now
			}
		}
		left := bytes.Clone(d.synced)
		for at := range left { // any byte that was not synced may be anything
			if d.synced[at] != d.b[at] {
				left[at] = rapid.SampledFrom([]byte{d.synced[at], d.b[at], 0, 0xff}).Draw(t, "byte")
			}
		}
		got, err := open(t, &disk{b: left}).read()
		if err != nil || got.Statements < safe.Statements || got.Statements > now.Statements {
			t.Fatalf("pin %d statements, %v; synced were %d", got.Statements, err, safe.Statements)
		}
	})
}

func TestPinIsMonotonic(t *testing.T) {
	base := Pin{Statements: 5, Link: [32]byte{1}, Events: 7, Root: [32]byte{2}, Roster: 3}
	for name, c := range map[string]struct {
		change func(*Pin)
		ok     bool
	}{
		"the same":         {func(p *Pin) {}, true},
		"more of all":      {func(p *Pin) { p.Statements++; p.Link[0]++; p.Events++; p.Root[0]++; p.Roster++ }, true},
		"events only":      {func(p *Pin) { p.Events++; p.Root[0]++ }, true},
		"fewer statements": {func(p *Pin) { p.Statements--; p.Events++ }, false},
		"fewer events":     {func(p *Pin) { p.Events--; p.Statements++ }, false},
		"older roster":     {func(p *Pin) { p.Roster--; p.Statements++; p.Events++ }, false},
		"another link":     {func(p *Pin) { p.Link[0]++ }, false},
		"another root":     {func(p *Pin) { p.Root[0]++ }, false},
		"nothing":          {func(p *Pin) { *p = Pin{} }, false},
	} {
		d, dir, data := create(t)
		must(t, d.SetPin(base, true))
		next := base
		c.change(&next)
		err := d.SetPin(next, false)
		want := next
		if !c.ok {
			wantKind(t, err, fault.Held, "than this device has seen")
			want = base
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := d.Pin(); err != nil || got != want {
			t.Errorf("%s: pin %v, %v", name, got, err)
		}
		must(t, d.RestorePin(next))
		must(t, d.Close())
		if got, err := reopen(t, dir, data).Pin(); err != nil || got != next {
			t.Errorf("%s: restored pin %v, %v", name, got, err)
		}
	}
}

// TestEmptyTree: the root of no events is a hash too, and no fork.
func TestEmptyTree(t *testing.T) {
	d, _, _ := create(t)
	must(t, d.SetPin(Pin{Statements: 1, Link: [32]byte{1}, Root: [32]byte{0xe3}}, true))
}

func TestPinDamaged(t *testing.T) {
	flip := func(at ...int64) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			must(t, err)
			for _, i := range at {
				b[i] ^= 0x80
			}
			must(t, os.WriteFile(path, b, 0o600))
		}
	}
	for name, c := range map[string]struct {
		harm func(*testing.T, string)
		ok   bool
	}{
		"first slot":    {flip(20), true},
		"second slot":   {flip(pinBlock + 20), true},
		"padding":       {flip(pinSlot+1, pinFile-1), true},
		"both":          {flip(20, pinBlock+20), false},
		"missing":       {func(t *testing.T, p string) { must(t, os.Remove(p)) }, false},
		"empty":         {func(t *testing.T, p string) { must(t, os.Truncate(p, 0)) }, false},
		"longer":        {func(t *testing.T, p string) { must(t, os.Truncate(p, pinFile+1)) }, false},
		"second cut":    {func(t *testing.T, p string) { must(t, os.Truncate(p, pinBlock+3)) }, true},
		"another's pin": {func(t *testing.T, p string) { must(t, os.WriteFile(p, firstPins("another"), 0o600)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, dir, data := create(t)
			must(t, d.SetPin(Pin{Statements: 1}, true))
			must(t, d.SetPin(Pin{Statements: 2}, true))
			must(t, d.Close())
			c.harm(t, filepath.Join(dir, "pin"))
			d, err := Open(dir, data)
			if !c.ok {
				wantKind(t, err, fault.Tampered, "pin")
				return
			}
			must(t, err)
			defer d.Close()
			p, err := d.Pin()
			if err != nil || p.Statements < 1 || p.Statements > 2 {
				t.Fatalf("pin %v, %v", p, err)
			}
			must(t, d.SetPin(Pin{Statements: 3}, true))
			if p, err := d.Pin(); err != nil || p.Statements != 3 {
				t.Errorf("pin %v, %v", p, err)
			}
		})
	}
}

// TestPinDamagedWhileOpen: Pin reads the file, not a memory of it.
func TestPinDamagedWhileOpen(t *testing.T) {
	d, dir, _ := create(t)
	must(t, os.Truncate(filepath.Join(dir, "pin"), 0))
	_, err := d.Pin()
	wantKind(t, err, fault.Tampered, "not what was written")
}

func TestPinSyncFails(t *testing.T) {
	d := newDisk()
	s := open(t, d)
	must(t, s.set(Pin{Statements: 1}, true, false))
	d.bad = errors.New("disk gone")
	wantKind(t, s.set(Pin{Statements: 2}, true, false), fault.Unavailable, "disk gone")
	if got, err := open(t, &disk{b: d.synced}).read(); err != nil || got.Statements != 1 {
		t.Errorf("pin %v, %v", got, err)
	}
	d.bad = nil
	must(t, s.set(Pin{Statements: 3}, true, false))
	if got, err := open(t, &disk{b: d.synced}).read(); err != nil || got.Statements != 3 {
		t.Errorf("pin %v, %v", got, err)
	}
}

func BenchmarkSetPin(b *testing.B) {
	d, _, _ := create(b)
	for i := range b.N {
		must(b, d.SetPin(Pin{Statements: uint64(i)}, false))
	}
}

func FuzzDecodePin(f *testing.F) {
	f.Add(encodePin(someID, 3, Pin{Statements: 1, Events: 2, Roster: 1}))
	f.Add(make([]byte, pinSlot))
	f.Add([]byte(pinMagic))
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, p, ok := decodePin(someID, in); ok && !bytes.Equal(encodePin(someID, c, p), in) {
			t.Errorf("accepted another spelling: %x", in)
		}
	})
}
