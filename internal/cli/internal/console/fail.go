package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

// Fault returns the classified error in err's chain, whichever side of the
// socket it comes from; nil only for nil. What nobody classified is a failure of
// this program's own reading or writing.
func Fault(err error) *fault.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return &fault.Error{Kind: fault.Kind(e.Kind), Op: e.Op, Ref: e.Ref, Msg: e.Msg, Hint: e.Hint}
	}
	return fault.New(fault.Unavailable, "", "", err.Error())
}

// Fail prints an error the way the format wants it and returns the exit status.
func Fail(w io.Writer, asJSON bool, err error) int { return fail(w, asJSON, false, err) }

// Fail is the function Fail on stderr, in colour where that is a terminal.
func (c *Console) Fail(err error) int {
	return fail(c.Err, c.JSON(), NewInk(c.ErrIsTerminal, c.Getenv), err)
}

func fail(w io.Writer, asJSON bool, ink Ink, err error) int {
	if err == nil {
		return 0
	}
	e := Fault(err)
	if asJSON {
		c := *e
		if c.Msg == "" && c.Err != nil {
			c.Msg = c.Err.Error()
		}
		b, _ := json.Marshal(map[string]api.Error{
			"error": {Kind: cmp.Or(string(c.Kind), "internal"), Op: c.Op, Ref: c.Ref, Msg: c.Msg, Hint: c.Hint}})
		fmt.Fprintf(w, "%s\n", b)
		return fault.ExitCode(e)
	}
	fmt.Fprintf(w, "%s %s\n", ink.Red("thumbturn:"), canon.Escape(e.Error()))
	hint := e.Hint
	if hint == "" && e.Kind == fault.Locked {
		hint = "unlock with: thumbturn unlock"
	}
	if hint == "" && e.Kind == fault.Empty {
		hint = "make an account with: thumbturn init"
	}
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", canon.Escape(hint))
	}
	return fault.ExitCode(e)
}

// Usage returns an error of how the command was called.
func Usage(format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, "", "", fmt.Sprintf(format, args...))
}

// Near is the hint for a name that is none: the one that was meant, as far as
// can be told, else the hint otherwise.
func Near(name string, names []string, otherwise string) string {
	if s := ref.Suggest(name, names); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return otherwise
}

// Ref parses a reference. What does not parse is not repeated: it may be a
// value that was pasted in the wrong place.
func Ref(op, s string) (ref.Ref, error) {
	r, err := ref.Parse(s)
	if e, ok := errors.AsType[*ref.Error](err); ok {
		hint := e.Hint
		if hint == "" {
			hint = "write op://vault/item/[section/]field"
		}
		return r, fault.New(fault.Usage, op, "", e.Msg).WithHint(hint)
	}
	return r, err
}
