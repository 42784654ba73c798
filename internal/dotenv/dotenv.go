// Package dotenv reads env files without losing a byte.
//
// One KEY=VALUE per line, UTF-8, with or without a byte order mark, lines
// ending in LF or CRLF, `export ` in front allowed. White space around key and
// value is dropped. '#' begins a comment at the start of a line and, after an
// unquoted or quoted value, wherever white space stands before it: a#b is a
// value.
//
//   - 'text' is taken as it is and may span lines.
//   - "text" may span lines; \\ \" \$ and \` lose their backslash, \n and \r
//     are line feed and carriage return, any other backslash stays.
//   - In an unquoted value only \$ and \# lose their backslash; quotes inside
//     it are kept, so that JSON={"a":"b"} works.
//
// $NAME, ${NAME} and ${NAME:-default} expand outside single quotes, from
// earlier keys of the file, else from the lookup given. They expand in keys
// too. Secret references stay text: who wants them resolved does so afterwards.
package dotenv

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
)

// Quote is how a value was written. The zero Quote means without quotes.
type Quote byte

// The quotes.
const (
	None   Quote = 0
	Single Quote = '\''
	Double Quote = '"'
)

// Entry is one KEY=VALUE.
type Entry struct {
	Key        string // variables expanded
	Value      string // unquoted, unescaped, variables expanded; CRLF became LF
	Line, Col  int    // of the key, from 1; columns count bytes
	Quote      Quote
	Export     bool     // written with `export ` in front
	Variables  []string // names of what was expanded in key and value, in order
	Start, End int      // the value as written, quotes included: File.Bytes()[Start:End]
}

// File is a parsed env file.
type File struct {
	Name     string
	Entries  []Entry  // in order, repeated keys included
	Warnings []*Error // what is accepted but probably a mistake: a repeated key, a variable that is not set
	data     []byte
}

// Bytes returns a copy of the file, exactly as it was read.
func (f File) Bytes() []byte { return bytes.Clone(f.data) }

// Rewrite returns the file with the values of some entries, by index, written
// anew: the text given takes the place of the old one, quotes included, and
// every other byte stays.
func (f File) Rewrite(values map[int]string) []byte {
	var out []byte
	at := 0
	for i, e := range f.Entries {
		text, ok := values[i]
		if !ok {
			continue
		}
		out = append(append(out, f.data[at:e.Start]...), text...)
		at = e.End
	}
	return append(out, f.data[at:]...)
}

// Lookup returns the value of the last entry with that key.
func (f File) Lookup(key string) (string, bool) {
	for i := len(f.Entries) - 1; i >= 0; i-- {
		if f.Entries[i].Key == key {
			return f.Entries[i].Value, true
		}
	}
	return "", false
}

// Error is a mistake at a place in a file.
type Error struct {
	File      string
	Line, Col int    // from 1; columns count bytes
	Msg       string // never any text of the file: it may be part of a value
}

// Error prints "file:line:column: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
}

const bom = "\xef\xbb\xbf"

// maxExpanded bounds the bytes that the variables of one file may produce:
// lines that double each other would grow without end.
const maxExpanded = 4 << 20

// Names reports whether a file's name is that of an env file: .env, .env.local,
// production.env.
func Names(base string) bool {
	return strings.HasPrefix(base, ".env.") || strings.HasSuffix(base, ".env")
}

// Parse reads data; name serves error messages. lookup gives the variables of
// the environment and may be nil. The first mistake ends it with an *Error and
// the zero File.
func Parse(name string, data []byte, lookup func(string) (string, bool)) (File, error) {
	p := parser{name: name, s: string(data), lookup: lookup, known: map[string]string{}}
	p.lines = []int{0}
	if strings.HasPrefix(p.s, bom) {
		p.lines[0], p.pos = len(bom), len(bom)
	}
	for i := range len(p.s) {
		if p.s[i] == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	if i := strings.IndexByte(p.s, 0); i >= 0 {
		return File{}, p.errorAt(i, "NUL byte: not a UTF-8 text file")
	}
	for p.pos < len(p.s) {
		if err := p.line(); err != nil {
			return File{}, err
		}
	}
	return File{Name: name, Entries: p.entries, Warnings: p.warnings, data: bytes.Clone(data)}, nil
}

type parser struct {
	name     string
	s        string
	lookup   func(string) (string, bool)
	pos      int
	lines    []int // offsets of line starts
	known    map[string]string
	entries  []Entry
	warnings []*Error
	spent    int      // bytes that variables produced so far
	expanded []string // by the present entry
}

// place returns line and column of a byte offset, both from 1.
func (p *parser) place(offset int) (line, col int) {
	line = sort.Search(len(p.lines), func(i int) bool { return p.lines[i] > offset })
	line = max(line, 1)
	return line, offset - p.lines[line-1] + 1
}

func (p *parser) errorAt(offset int, msg string) *Error {
	line, col := p.place(offset)
	return &Error{File: p.name, Line: line, Col: col, Msg: msg}
}

func (p *parser) warn(offset int, msg string) {
	p.warnings = append(p.warnings, p.errorAt(offset, msg))
}

// skipBlank moves pos over spaces and tabs.
func (p *parser) skipBlank() {
	for p.pos < len(p.s) && isBlank(p.s[p.pos]) {
		p.pos++
	}
}

// lineEnd returns the offset of the next LF, or the end of the file.
func (p *parser) lineEnd(from int) int {
	if n := strings.IndexByte(p.s[from:], '\n'); n >= 0 {
		return from + n
	}
	return len(p.s)
}

// atEnd reports whether only a line end, or nothing, follows pos.
func (p *parser) atEnd() bool {
	rest := p.s[p.pos:]
	return rest == "" || rest[0] == '\n' || rest == "\r" || strings.HasPrefix(rest, "\r\n")
}

// nextLine moves pos behind the next LF.
func (p *parser) nextLine() { p.pos = min(p.lineEnd(p.pos)+1, len(p.s)) }

// line consumes one logical line; a quoted value may make it several.
func (p *parser) line() error {
	p.skipBlank()
	if p.atEnd() || p.s[p.pos] == '#' {
		p.nextLine()
		return nil
	}
	var e Entry
	start := p.pos
	p.expanded = nil
	if err := p.key(&e); err != nil {
		return err
	}
	if err := p.value(&e); err != nil {
		return err
	}
	p.nextLine()
	e.Line, e.Col = p.place(start)
	e.Variables = p.expanded
	if _, again := p.known[e.Key]; again {
		p.warn(start, "key is set again: this later value wins")
	}
	p.known[e.Key] = e.Value
	p.entries = append(p.entries, e)
	return nil
}

// key consumes [export ]KEY= and the white space around it.
func (p *parser) key(e *Entry) error {
	start := p.pos
	if rest, ok := strings.CutPrefix(p.s[p.pos:], "export"); ok && rest != "" && isBlank(rest[0]) {
		if after := strings.TrimLeft(rest, " \t"); !strings.HasPrefix(after, "=") {
			e.Export = true
			start = len(p.s) - len(after)
		}
	}
	end := p.lineEnd(start)
	n := strings.IndexByte(p.s[start:end], '=')
	if n < 0 {
		return p.errorAt(start, "no '=' on this line")
	}
	raw := strings.TrimRight(p.s[start:start+n], " \t")
	key, err := p.expand(start, start+len(raw), keyMode)
	if err != nil {
		return err
	}
	if !validKey(key) {
		return p.errorAt(start, "bad key: want a letter or '_', then letters, digits, '_', '.' or '-'")
	}
	e.Key = key
	p.pos = start + n + 1
	p.skipBlank()
	return nil
}

func validKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		first := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !first && (i == 0 || (c < '0' || c > '9') && c != '.' && c != '-') {
			return false
		}
	}
	return key != ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
