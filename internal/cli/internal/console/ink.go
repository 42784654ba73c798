package console

// Ink colours words on a terminal. The zero Ink prints them as they are.
type Ink bool

// NewInk returns the ink for a stream: none where it is no terminal, where
// NO_COLOR is set (no-color.org), or where TERM says that the terminal is dumb.
func NewInk(terminal bool, getenv func(string) string) Ink {
	return Ink(terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb")
}

// Red is for what is wrong.
func (i Ink) Red(s string) string { return i.paint("31", s) }

// Yellow is for what deserves a look.
func (i Ink) Yellow(s string) string { return i.paint("33", s) }

// Green is for what is as it should be.
func (i Ink) Green(s string) string { return i.paint("32", s) }

func (i Ink) paint(code, s string) string {
	if !i || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
