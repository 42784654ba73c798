package run

import (
	"os"

	"github.com/thumbturn/thumbturn/internal/cli/internal/shim"
)

// ownTerminal makes a terminal for the program where standard input and output
// are the one in whose foreground we are, and else returns nil. It is made
// while values are asked for, so that the program starts no later.
func (o Options) ownTerminal() *shim.Shim {
	in, _ := o.Console.In.(*os.File)
	out, _ := o.Console.Out.(*os.File)
	errs, _ := o.Console.Err.(*os.File)
	if o.NoMasking || !shim.Fits(in, out) {
		return nil
	}
	s, err := shim.Start(in, out, shim.Fits(errs))
	if err != nil {
		o.Console.Say("warning: there is no terminal for the program, so it gets pipes")
		return nil
	}
	return s
}
