package console

import (
	"encoding/json"
	"io"
)

// Array prints a list as JSON, element by element. A list that is cut short by
// an error lacks its closing bracket, so that nobody takes it for whole.
type Array struct {
	Out   io.Writer
	Lines bool // one element a line, instead of one member a line
	n     int
}

// Add prints one element more.
func (a *Array) Add(v any) error {
	b, err := json.Marshal(v)
	if !a.Lines && err == nil {
		b, err = json.MarshalIndent(v, "  ", "  ")
	}
	if err != nil {
		return err
	}
	before := ",\n  "
	if a.n++; a.n == 1 {
		before = "[\n  "
	}
	_, err = a.Out.Write(append([]byte(before), b...))
	return err
}

// End prints the end.
func (a *Array) End() error {
	end := "\n]\n"
	if a.n == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(a.Out, end)
	return err
}
