package cli

import (
	"errors"
	"io"
	"os"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/term"
)

// terminal asks at the controlling terminal of this process.
type terminal struct{}

func (terminal) IsTerminal() bool {
	f, err := os.Open(terminalPath)
	if err != nil {
		return false
	}
	defer f.Close()
	return term.IsTerminal(f)
}

func (terminal) Hidden(prompt string) ([]byte, error) {
	b, err := term.Hidden(prompt)
	return b, unanswered(err)
}

func (terminal) Line(prompt string) (string, error) {
	s, err := term.Line(prompt)
	return s, unanswered(err)
}

func (terminal) Confirm(prompt string) (bool, error) {
	ok, err := term.Confirm(prompt)
	return ok, unanswered(err)
}

// unanswered classifies why a question got no answer.
func unanswered(err error) error {
	if e, ok := errors.AsType[*term.Error](err); ok {
		return fault.New(fault.Unavailable, "", "", e.Msg).WithHint(e.Hint)
	}
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Unavailable, "", "", "the question was not answered")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "terminal", "", err)
	}
	return nil
}
