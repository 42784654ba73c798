// Package handoff delivers values to the thumbturn process that starts the
// child. The grade is hold: a program of the caller's own user has the values
// afterwards. That the peer is our program is evidence, not proof; whoever
// speaks the socket and is allowed gets the bytes.
package handoff

import (
	"context"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/internal/sink"
	"github.com/thumbturn/thumbturn/internal/broker/internal/wire"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/local"
)

// To returns the sink that answers on conn. names are the variables the values
// go into; shown is the command as it may be displayed.
func To(conn *local.Conn, p api.Program, shown, names []string) sink.Sink {
	place := canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: p.Path,
		Argv: canon.ArgvDigest(p.Argv), Shown: shown, Dir: p.Dir, Names: names, Free: p.Free}
	if p.Hash != "" {
		place.Image = &canon.Image{Hash: p.Hash, File: p.File, Interpreter: p.Interpreter, IntHash: p.IntHash, IntFile: p.IntFile}
	}
	return sink.New(place, func(ctx context.Context, d sink.Delivery) error { return wire.Send(ctx, conn, d) })
}
