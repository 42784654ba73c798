package inject

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

const (
	maxTemplate = 64 << 20 // bytes
	// maxResult bounds what a template becomes, in bytes: a short one can name a
	// long value many times.
	maxResult = 512 << 20

	bom = "\xef\xbb\xbf"
)

// template is a parsed template that knows where it came from.
type template struct {
	name   string // for messages
	text   string
	parsed ref.Template // where bad is not empty, only the references that parse
	bad    []mistake
}

// template reads and parses.
func (o Options) template() (template, error) {
	for _, c := range o.Comments {
		if c == "" || strings.ContainsFunc(c, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return template{}, console.Usage("--comments wants what begins a comment, such as '#', without spaces")
		}
	}
	t := template{name: o.In}
	var err error
	if o.In == "" || o.In == "-" || o.In == "/dev/stdin" { // the last may be a socket, which cannot be opened
		if t.name = "stdin"; o.Console.InputIsTerminal {
			return template{}, console.Usage("there is no template").WithHint("pass --in-file FILE, or pipe the template in")
		}
		t.text, err = readAll(o.Console.In, 0)
	} else {
		t.text, err = readFile(o.In)
	}
	if err != nil {
		return template{}, fault.New(fault.Usage, "inject", t.name, err.Error())
	}
	syntax := ref.Syntax{Vars: variables(o.Environ), Comments: o.Comments}
	t.parsed, err = syntax.Parse(t.text)
	for _, e := range each(err) {
		msg := e.Msg
		if e.Ref != "" { // not repeated: it may be a value that was pasted in the wrong place
			msg = "invalid secret reference: " + msg
		}
		t.bad = append(t.bad, mistake{pos: e.Pos, kind: fault.Usage, msg: msg, hint: e.Hint})
	}
	return t, nil
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", errors.New("the template does not exist or cannot be read")
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.IsDir() {
		return "", errors.New("the template is not a file")
	}
	return readAll(f, fi.Size())
}

// readAll makes one string without a second copy; size is a guess.
func readAll(r io.Reader, size int64) (string, error) {
	var b strings.Builder
	b.Grow(int(min(max(size, 0), maxTemplate)))
	n, err := io.Copy(&b, io.LimitReader(r, maxTemplate+1))
	switch {
	case err != nil:
		return "", errors.New("the template cannot be read")
	case n > maxTemplate:
		return "", fmt.Errorf("the template is larger than %d MiB", maxTemplate>>20)
	}
	return b.String(), nil
}

// variables looks names up in an environment; of a name that stands twice, the
// first counts.
func variables(environ []string) func(string) (string, bool) {
	m := make(map[string]string, len(environ))
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if _, again := m[name]; ok && !again {
			m[name] = value
		}
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// each takes apart what the parser joined.
func each(err error) []*ref.Error {
	var out []*ref.Error
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return out
	}
	for _, e := range many.Unwrap() {
		if bad, ok := errors.AsType[*ref.Error](e); ok {
			out = append(out, bad)
		}
	}
	return out
}

// places returns a function that tells file, line and column, from 1, of a byte.
// Columns count bytes; a byte order mark does not count.
func (t template) places() func(pos int) string {
	starts := []int{0}
	if strings.HasPrefix(t.text, bom) {
		starts[0] = len(bom)
	}
	for i := 0; ; {
		n := strings.IndexByte(t.text[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
		starts = append(starts, i)
	}
	return func(pos int) string {
		line := max(1, sort.SearchInts(starts, pos+1))
		return fmt.Sprintf("%s:%d:%d", t.name, line, 1+pos-starts[line-1])
	}
}

// fill returns the text with the values put in; index says which value is whose.
func (t template) fill(values [][]byte, index map[ref.Ref]int) ([]byte, error) {
	if len(t.bad) > 0 {
		return nil, fault.New(fault.Usage, "inject", t.name, "has bad references")
	}
	size, tooLarge := len(t.text), false
	text, err := t.parsed.AppendTo(nil, func(r ref.Ref) ([]byte, bool) {
		i, ok := index[r]
		if !ok || i >= len(values) {
			return nil, false
		}
		size += len(values[i])
		tooLarge = tooLarge || size > maxResult
		return values[i], !tooLarge
	})
	switch {
	case tooLarge:
		return nil, fault.New(fault.Usage, "inject", t.name, fmt.Sprintf("the result would be larger than %d MiB", maxResult>>20))
	case err != nil:
		return nil, fault.New(fault.Internal, "inject", t.name, "a reference has no value")
	}
	return text, nil
}
