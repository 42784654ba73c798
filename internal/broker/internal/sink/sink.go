// Package sink is the place of delivery. A Sink has an unexported function and
// is built only within the broker's tree, by packages that own their
// destination end to end; the zero Sink is refused.
package sink

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/sealed"
)

// Delivery is what a sink gets: all values of a request at once, lent for the
// time of the call and wiped afterwards.
type Delivery struct {
	Request string // request id, empty when no person was asked
	Receipt int64  // index of the intent in the ledger
	Values  [][]byte
	// Long has a place for each of Values. A long value is nil there and lent from
	// here, once, chunk by chunk; all of it has been verified. The others are the
	// zero Text here. Only sinks that are Streaming get long values.
	Long []sealed.Text
}

// Sink is one place of delivery for one release.
type Sink struct {
	place   canon.Place
	deliver func(context.Context, Delivery) error
	streams bool
}

// New makes a sink. deliver must not keep what it is lent.
func New(place canon.Place, deliver func(context.Context, Delivery) error) Sink {
	return Sink{place: place, deliver: deliver}
}

// Streaming returns the same sink, for a deliver that takes long values too.
func (s Sink) Streaming() Sink { s.streams = true; return s }

// Streams reports whether the sink takes long values.
func (s Sink) Streams() bool { return s.streams }

// Place describes where the values go; it is part of the request.
func (s Sink) Place() canon.Place { return s.place }

// Valid reports whether the sink leads anywhere.
func (s Sink) Valid() bool {
	return s.deliver != nil && s.place.Sink != "" && s.place.Grade != "" && s.place.Grade != canon.GradeNone
}

// Deliver hands the values over.
func (s Sink) Deliver(ctx context.Context, d Delivery) error {
	if !s.Valid() {
		return fault.New(fault.Denied, "deliver", "", "no place of delivery")
	}
	return s.deliver(ctx, d)
}

// Observed returns the same sink that calls began just before delivery. The
// observer sees no value; a door uses it to know that an answer is on its way.
func (s Sink) Observed(began func()) Sink {
	if s.deliver == nil {
		return s
	}
	deliver := s.deliver
	s.deliver = func(ctx context.Context, d Delivery) error {
		began()
		return deliver(ctx, d)
	}
	return s
}
