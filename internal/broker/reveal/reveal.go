// Package reveal delivers values to the caller itself: bytes on its socket, to
// print or to write to a file. The grade is reveal, and who may import this
// package is a tested list.
package reveal

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/internal/sink"
	"github.com/thumbturn/thumbturn/internal/broker/internal/wire"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/local"
)

// To returns the sink that answers on conn. With stream, which is for one
// reference alone, it takes a value that is too long to be held.
func To(conn *local.Conn, p api.Program, shown []string, stream bool) sink.Sink {
	place := canon.Place{Sink: "reveal", Grade: canon.GradeReveal, Program: p.Path,
		Argv: canon.ArgvDigest(p.Argv), Shown: shown, Dir: p.Dir}
	if stream {
		return sink.New(place, func(ctx context.Context, d sink.Delivery) error { return wire.Stream(ctx, conn, d) }).Streaming()
	}
	return sink.New(place, func(ctx context.Context, d sink.Delivery) error { return wire.Send(ctx, conn, d) })
}
