package mask

import (
	"io"
	"sync"
	"time"
)

const (
	chunk     = 32 << 10             // bytes of input looked at together
	firmHold  = 4                    // matching bytes from which a hold has no end in time
	shortHold = 5 * time.Millisecond // how long fewer are held
)

// Writer masks one stream. It may be used by many goroutines, one write at a
// time. Close must be called, or the last bytes may be missing.
type Writer struct {
	m   *Matcher
	dst io.Writer

	mu  sync.Mutex
	err error // the first error, or ErrClosed; every later call returns it
	// buf is the end of the stream that a match may still begin in, with its
	// capacity for one chunk more. It is never grown, so Close can wipe it.
	buf    []byte
	done   int    // buf[:done] has been written or replaced
	masked int    // buf[:masked], where above 0, ends a replaced stretch
	firm   bool   // what is held is held without limit
	out    []byte // scratch; holds output only
	total  int64  // bytes of the stream written or replaced
	eye    sight  // scratch

	stop    func() bool // stops the timer; nil: none is running
	armedAt int64       // total when it was started
	turn    uint64      // tells a timer that fires that it was stopped too late
	timers  sync.WaitGroup
}

// Writer returns a writer that masks into dst. It calls dst.Write with its
// own lock held, from the goroutine that writes or from a timer's; streams
// that share dst need a dst that allows that.
func (m *Matcher) Writer(dst io.Writer) *Writer {
	w := &Writer{m: m, dst: dst}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.t != nil && m.t.longest > 0 {
		w.buf = make([]byte, 0, reach(m.t)+lookBack+maxSequence+chunk)
	}
	return w
}

// Write takes in p, and writes what can be no part of a value. It returns
// ErrClosed, ErrWiped, or the first error of the underlying writer, after
// which nothing more is written; n then counts whole chunks of p before it.
func (w *Writer) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	for n < len(p) {
		k := min(chunk, len(p)-n)
		if err := w.take(p[n : n+k]); err != nil {
			w.disarm()
			return n, err
		}
		n += k
	}
	w.arm()
	return n, nil
}

// Flush writes what is held back for a short time only. Bytes held because 4
// or more of them match stay held: writing them could show all of a value but
// its last byte.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.disarm()
	return w.advance(releaseShort)
}

// Close writes all that is still held, wipes it, and waits for the timer. It
// does not close the underlying writer. It returns the first error of the
// stream; a second Close returns ErrClosed or that error.
func (w *Writer) Close() error {
	defer w.timers.Wait() // after the lock is given back
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disarm()
	if w.err != nil {
		return w.err
	}
	err := w.advance(releaseAll)
	if err == nil {
		_ = w.fail(ErrClosed)
	}
	return err
}

// fail makes err the answer to every later call, and forgets what is held.
func (w *Writer) fail(err error) error {
	w.err = err
	clear(w.buf[:cap(w.buf)])
	w.eye.wipe()
	w.buf, w.done, w.masked = w.buf[:0], 0, 0
	return err
}

// take adds at most a chunk to the stream.
func (w *Writer) take(p []byte) error {
	if cap(w.buf) == 0 { // no values: nothing to look for, unless wiped
		w.m.mu.RLock()
		wiped := w.m.t == nil
		w.m.mu.RUnlock()
		if wiped {
			return w.fail(ErrWiped)
		}
		return w.emit(p)
	}
	w.buf = append(w.buf, p...)
	return w.advance(holdAll)
}

// release says how much of an unfinished match to write.
type release int

const (
	holdAll release = iota
	releaseShort
	releaseAll
)

// advance writes the stream up to where a match may still begin, and drops
// from buf what no match can begin in.
func (w *Writer) advance(r release) error {
	w.m.mu.RLock()
	t := w.m.t
	if t == nil {
		w.m.mu.RUnlock()
		return w.fail(ErrWiped)
	}
	w.eye.look(t, w.buf)
	w.firm = w.eye.matched >= firmHold
	limit := w.eye.hold
	if r == releaseAll || r == releaseShort && !w.firm {
		limit = len(w.buf)
	}
	before := w.done
	out := w.replace(limit)
	w.m.mu.RUnlock()

	if err := w.emit(out); err != nil {
		return err
	}
	w.total += int64(w.done - before)
	drop := w.eye.keepFrom(w.buf)
	w.buf = w.buf[:copy(w.buf, w.buf[drop:])]
	w.done -= drop
	w.masked = max(0, w.masked-drop)
	return nil
}

// replace moves done to limit, or past it to the end of the last match, and
// returns the output for that. A match that begins after limit waits, for it
// may turn out to be a part of the one that begins there; one that begins at
// limit is replaced now, whatever follows.
func (w *Writer) replace(limit int) []byte {
	w.out = w.out[:0]
	for _, s := range w.eye.spans {
		if s.from > limit {
			break
		}
		if s.to <= w.done {
			continue // found, and replaced, by an earlier call
		}
		if s.from >= w.masked || w.done > w.masked { // the second: bytes released since
			w.out = append(w.out, w.buf[w.done:max(s.from, w.done)]...)
			w.out = append(w.out, Replacement...)
		}
		w.done, w.masked = s.to, s.to
	}
	rest := w.buf[w.done:max(limit, w.done)]
	w.done += len(rest)
	if len(w.out) == 0 {
		return rest
	}
	w.out = append(w.out, rest...)
	return w.out
}

func (w *Writer) emit(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := w.dst.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// arm sees to it that a timer runs when few matching bytes are held, and none
// otherwise. The oldest of them keeps its timer when more join it.
func (w *Writer) arm() {
	if len(w.buf) == w.done || w.firm {
		w.disarm()
		return
	}
	if w.stop != nil && w.armedAt == w.total {
		return
	}
	w.disarm()
	turn := w.turn
	w.armedAt = w.total
	w.timers.Add(1)
	w.stop = w.m.after(shortHold, func() {
		defer w.timers.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.turn != turn || w.err != nil {
			return
		}
		w.stop = nil
		_ = w.advance(releaseShort) // kept in w.err for the next call
	})
}

func (w *Writer) disarm() {
	if w.stop == nil {
		return
	}
	if w.stop() {
		w.timers.Done()
	}
	w.stop = nil
	w.turn++
}
