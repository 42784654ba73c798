package run

import (
	"os"

	"github.com/thumbturn/thumbturn/internal/cli/internal/shim"
)

// ownTerminal is a terminal for the program, in place of the person's.
type ownTerminal struct {
	shim *shim.Shim
	errs *os.File // where what the program prints as errors is read; nil: on the terminal too
}

// ownTerminal makes one where standard input and output are the terminal in
// whose foreground we are, and else returns nil. It is made while values are
// asked for, so that its start costs nothing.
func (o Options) ownTerminal() *ownTerminal {
	in, _ := o.Console.In.(*os.File)
	out, _ := o.Console.Out.(*os.File)
	if !shim.Fits(in, out) {
		return nil
	}
	var t ownTerminal
	var errs *os.File
	if f, _ := o.Console.Err.(*os.File); !shim.Fits(f) {
		var err error
		if t.errs, errs, err = os.Pipe(); err != nil {
			return nil
		}
		defer errs.Close()
	}
	var err error
	if t.shim, err = shim.Start(in, out, errs); err != nil {
		o.Console.Say("warning: there is no terminal for the program, so it gets pipes")
		if t.errs != nil {
			t.errs.Close()
		}
		return nil
	}
	return &t
}

// close puts the person's terminal back.
func (t *ownTerminal) close() {
	if t == nil {
		return
	}
	t.shim.Close()
	if t.errs != nil {
		t.errs.Close()
	}
}
