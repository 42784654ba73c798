// Package masking measures the masks beside a copy, a peer and a bare pipe.
package masking

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/bench/table"
	"github.com/thumbturn/thumbturn/internal/mask"
)

const (
	maskRounds = 7
	maskBytes  = 64 << 20 // per round
	maskValues = 50
	pumpBytes  = 32 << 10 // what one read of a pipe brings
)

// buffer keeps the last write, as the floor of every pump.
type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b[:0], p...)
	return len(p), nil
}

// Rows masks log lines in which no value stands, beside a plain copy of them and
// beside the standard library's replacer, which knows each value in one form and
// sees none that is cut by a line end.
func Rows() ([]table.Row, error) {
	plain, coloured := logLines(false), logLines(true)
	var rows []table.Row
	for _, c := range []struct {
		name string
		size int // bytes of each value
		text []byte
		goal float64 // MB/s
		peer float64 // times the replacer
	}{
		{"values of 40 bytes", 40, plain, 1000, 5},
		{"values of 12 bytes", 12, plain, 1000, 5},
		{"values of 6 bytes", 6, plain, 500, 0},
		{"values of 12 bytes, coloured text", 12, coloured, 250, 0},
	} {
		values := tokens(c.size)
		var floor, ours, peer []float64
		m := matcher(values)
		r := replacer(values)
		for range maskRounds {
			var dst buffer
			var errs [3]error
			floor = append(floor, pump(c.text, &dst, &errs[0]))
			w := m.Writer(&dst)
			ours = append(ours, pump(c.text, w, &errs[1]))
			peer = append(peer, pump(c.text, &byLine{to: &dst, r: r}, &errs[2]))
			if err := errors.Join(append(errs[:], w.Close())...); err != nil {
				return nil, err
			}
		}
		m.Wipe()
		got, base, other := table.Median(ours), table.Median(floor), table.Median(peer)
		what := fmt.Sprintf("masking, %d %s", maskValues, c.name)
		rows = append(rows, table.Row{what, megabytes(got), "memory copy " + megabytes(base),
			fmt.Sprintf("%.3fx", got/base), ">= " + megabytes(c.goal), table.Met(got >= c.goal)})
		beside := table.Row{what, megabytes(got), "strings.Replacer " + megabytes(other), table.Times(got / other), "", ""}
		if c.peer > 0 {
			beside[4], beside[5] = fmt.Sprintf(">= %.0fx", c.peer), table.Met(got >= c.peer*other)
		}
		rows = append(rows, beside)
	}
	piped, err := maskPipeRow(plain)
	return append(rows, maskBuildRow(), piped), err
}

// maskBuildRow times the making of the tables.
func maskBuildRow() table.Row {
	values := tokens(40)
	var ours, floor []time.Duration
	for range 5 * maskRounds {
		began := time.Now()
		m := matcher(values)
		ours = append(ours, time.Since(began))
		m.Wipe()
		began = time.Now()
		_ = replacer(values).Replace(".") // which it is built at first
		floor = append(floor, time.Since(began))
	}
	got, peer := table.Median(ours), table.Median(floor)
	return table.Row{fmt.Sprintf("masking tables, %d values of 40 bytes", maskValues), table.Millis(got),
		"strings.Replacer, one form, " + table.Millis(peer), table.Times(float64(got) / float64(peer)), "", ""}
}

// maskPipeRow reads log lines from a pipe and writes them to another, through
// a writer that masks and through one that knows nothing to mask.
func maskPipeRow(text []byte) (table.Row, error) {
	var with, without []float64
	known, nothing := matcher(tokens(12)), matcher(nil)
	defer known.Wipe()
	for range maskRounds {
		var err [2]error
		without = append(without, throughPipes(text, nothing, &err[0]))
		with = append(with, throughPipes(text, known, &err[1]))
		if err := errors.Join(err[:]...); err != nil {
			return table.Row{}, err
		}
	}
	got, base := table.Median(with), table.Median(without)
	return table.Row{fmt.Sprintf("masking from pipe to pipe, %d values of 12 bytes", maskValues), megabytes(got),
		"the same with no values " + megabytes(base), table.Times(got / base), ">= 0.4x", table.Met(got >= 0.4*base)}, nil
}

// throughPipes returns the MB/s of a pump from pipe to pipe.
func throughPipes(text []byte, m *mask.Matcher, failed *error) float64 {
	in, feed, err := os.Pipe()
	if err != nil {
		*failed = err
		return 0
	}
	drain, out, err := os.Pipe()
	if err != nil {
		*failed = errors.Join(err, in.Close(), feed.Close())
		return 0
	}
	done := make(chan error, 2)
	began := time.Now()
	go func() {
		var err error
		pump(text, feed, &err)
		done <- errors.Join(err, feed.Close())
	}()
	go func() {
		_, err := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{drain}, make([]byte, pumpBytes))
		done <- err
	}()
	w := m.Writer(out)
	_, err = io.CopyBuffer(onlyWriter{w}, onlyReader{in}, make([]byte, pumpBytes))
	err = errors.Join(err, w.Close(), out.Close(), in.Close())
	*failed = errors.Join(err, <-done, <-done, drain.Close())
	return maskBytes / time.Since(began).Seconds() / 1e6
}

// onlyReader and onlyWriter hide the ways around the buffer of a copy.
type onlyReader struct{ io.Reader }

type onlyWriter struct{ io.Writer }

// pump writes text until maskBytes are written, and returns the MB/s.
func pump(text []byte, to io.Writer, failed *error) float64 {
	began := time.Now()
	for n := 0; n < maskBytes; n += len(text) {
		if _, err := to.Write(text); err != nil {
			*failed = err
			return 0
		}
	}
	return maskBytes / time.Since(began).Seconds() / 1e6
}

// byLine replaces in each line on its own.
type byLine struct {
	to io.Writer
	r  *strings.Replacer
}

func (b *byLine) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if _, err := b.r.WriteString(b.to, string(line)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// tokens returns random values of size letters, digits, - and _.
func tokens(size int) []string {
	values := make([]string, maskValues)
	for i := range values {
		raw := make([]byte, size)
		_, _ = rand.Read(raw) // never fails
		values[i] = base64.RawURLEncoding.EncodeToString(raw)[:size]
	}
	return values
}

func matcher(values []string) *mask.Matcher {
	known := make([]mask.Value, len(values))
	for i, v := range values {
		known[i] = mask.Bytes(fmt.Sprint(i), []byte(v))
	}
	return mask.New(known, mask.Options{})
}

func replacer(values []string) *strings.Replacer {
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, mask.Replacement)
	}
	return strings.NewReplacer(pairs...)
}

// logLines returns what one read of a pipe brings of a log.
func logLines(coloured bool) []byte {
	format := "2026-11-24T16:46:52.%03dZ INFO http: GET /v1/things/%d?page=%d 200 %d bytes in %d us\n"
	if coloured {
		format = "\x1b[2m2026-11-24T16:46:52.%03dZ\x1b[0m \x1b[32mINFO\x1b[0m http: \x1b[1mGET\x1b[0m /v1/things/\x1b[36m%d\x1b[0m?page=%d \x1b[38;5;40m200\x1b[0m %d bytes in \x1b[33m%d\x1b[0m us\n"
	}
	var text bytes.Buffer
	for i := 0; text.Len() < pumpBytes; i++ {
		fmt.Fprintf(&text, format, i%1000, i*7919, i, i*131, i%977)
	}
	return text.Bytes()[:pumpBytes]
}

func megabytes(r float64) string { return fmt.Sprintf("%.0f MB/s", r) }
