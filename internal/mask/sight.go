package mask

import (
	"bytes"
	"sort"
)

// lookBack is how many bytes before the earliest match in progress are kept,
// for they tell whether a line break among what follows is one inside a text.
const lookBack = minRun

// reach returns the length of the stretch of stream at whose beginning a match
// in progress may stand.
func reach(t *tables) int { return 2*t.longest + 4<<10 }

// sight is what can be seen in a text: the matches in it as it stands, and
// those in what is left when the bytes that programs put between the
// characters are taken away. Its memory is fixed by the text's capacity and it
// holds plain text between calls.
type sight struct {
	t       *tables
	spans   []span // the matches in order; those that overlap are one
	hold    int    // where the earliest match in progress begins, or the end
	matched int    // the most bytes of a form that one of those matches
	escapes bool   // an ESC stands in the text

	part   view   // scratch
	inPart []span // scratch
	others []span // scratch: matches in parts
}

func (e *sight) look(t *tables, text []byte) {
	e.t = t
	e.spans, e.hold = t.scan(text, e.spans[:0])
	e.matched = len(text) - e.hold
	e.others = e.others[:0]
	e.stripped(text)
	e.unwrapped(text)
	if len(e.others) == 0 {
		return
	}
	e.spans = joined(append(e.spans, e.others...))
}

// keepFrom returns how much of text no match to come can depend on.
func (e *sight) keepFrom(text []byte) int {
	drop := max(0, min(e.hold, len(text))-lookBack)
	if !e.escapes {
		return drop
	}
	// An escape sequence is kept whole. Within one, no ESC begins another,
	// so only the last before the cut can be the one that is cut.
	from := max(0, drop-maxSequence)
	if i := bytes.LastIndexByte(text[from:drop], esc); i >= 0 {
		if n, _ := sequence(text[from+i:]); from+i+n > drop {
			return from + i
		}
	}
	return drop
}

// flush looks for matches in the part that was put together, and empties it.
// At the end of the text it looks for matches in progress as well.
func (e *sight) flush(text []byte, atEnd bool) {
	p := &e.part
	var unfinished int
	e.inPart, unfinished = e.t.scan(p.text, e.inPart[:0])
	for _, s := range e.inPart {
		e.others = append(e.others, span{p.origin(s.from), p.origin(s.to-1) + 1})
	}
	if atEnd {
		if least := len(text) - reach(e.t); unfinished < len(p.text) && p.origin(unfinished) < least {
			// Too much stands between the characters of this one.
			from := sort.Search(len(p.text), func(i int) bool { return p.origin(i) >= least })
			e.inPart, unfinished = e.t.scan(p.text[from:], e.inPart[:0])
			unfinished += from
		}
		if unfinished < len(p.text) {
			e.hold = min(e.hold, p.origin(unfinished))
			e.matched = max(e.matched, len(p.text)-unfinished)
		}
	}
	p.reset()
}

func (e *sight) wipe() {
	clear(e.part.text[:cap(e.part.text)])
	*e = sight{}
}

// view is a text put together from pieces of another.
type view struct {
	text   []byte
	pieces []piece
}

// piece tells that from at on the view shows the other text from origin on.
type piece struct{ at, origin int }

// add appends text[from:to]. The view never outgrows text's capacity, so that
// no copy of it stays behind.
func (v *view) add(text []byte, from, to int) {
	if from == to {
		return
	}
	if cap(v.text) < cap(text) {
		v.text = make([]byte, 0, cap(text))
	}
	v.pieces = append(v.pieces, piece{len(v.text), from})
	v.text = append(v.text, text[from:to]...)
}

// origin returns where byte i of the view stands in the other text.
func (v *view) origin(i int) int {
	k := sort.Search(len(v.pieces), func(k int) bool { return v.pieces[k].at > i }) - 1
	return v.pieces[k].origin + i - v.pieces[k].at
}

func (v *view) reset() { v.text, v.pieces = v.text[:0], v.pieces[:0] }
