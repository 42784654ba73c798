package console

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestPrintToFullDisk: a result that nobody got is an error in each form.
func TestPrintToFullDisk(t *testing.T) {
	for _, format := range []string{"json", "human"} {
		c := &Console{Out: full{}, Format: format}
		err := c.Print(1, func(w io.Writer) {
			for range 3 {
				fmt.Fprintln(w, "x")
			}
		})
		if err == nil || err.Error() != "disk full" {
			t.Errorf("%s: %v", format, err)
		}
	}
}
