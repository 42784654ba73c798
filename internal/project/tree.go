package project

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A file is first read into a tree in which everything knows its place. The
// TOML library gives the syntax; that nothing is defined twice is seen to here,
// because errors of its decoder have no place.

type kind int

const (
	other kind = iota // a number, a date, a truth value: nothing here is one
	text
	list
	table
)

func (k kind) String() string {
	switch k {
	case text:
		return "a string"
	case list:
		return "a list"
	case table:
		return "a table"
	}
	return "something else"
}

type node struct {
	kind    kind
	at      int    // bytes from the start of the file
	text    string // of a string
	items   []*node
	entries []entry // of a table, in order
	closed  bool    // a table that may not have a [header] any more
	inline  bool    // a table written with {}, to which nothing can be added
	tables  bool    // a list to which [[headers]] add
}

type entry struct {
	name  string
	at    int
	value *node
}

func (n *node) get(name string) *node {
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return n.entries[i].value
}

func (n *node) put(name string, at int, value *node) *node {
	n.entries = append(n.entries, entry{name, at, value})
	return value
}

const bom = "\xef\xbb\xbf"

// tree reads the syntax. The first mistake ends it.
func (r *reader) tree(data []byte) *node {
	root := &node{kind: table}
	if !utf8.Valid(data) {
		r.fail(invalid(data), "not UTF-8 text", "")
		return root
	}
	skip := 0
	if strings.HasPrefix(string(data), bom) {
		skip = len(bom)
	}
	p := &unstable.Parser{}
	// The capacity is cut off because the library counts offsets by it.
	p.Reset(data[skip:len(data):len(data)])
	r.offset = skip
	into := root
	for p.NextExpression() {
		e := p.Expression()
		ok := true
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			into, ok = r.header(root, e)
		case unstable.KeyValue:
			ok = r.keyValue(into, e)
		}
		if !ok {
			return root
		}
	}
	if bad, ok := errors.AsType[*unstable.ParserError](p.Error()); ok {
		r.fail(r.offset+int(p.Range(bad.Highlight).Offset), bad.Message, "")
	} else if p.Error() != nil {
		r.fail(0, "not a TOML file", "")
	}
	return root
}

func invalid(data []byte) int {
	for i := 0; ; {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

type key struct {
	name string
	at   int
}

func (r *reader) keys(it unstable.Iterator) []key {
	var out []key
	for it.Next() {
		n := it.Node()
		out = append(out, key{string(n.Data), r.offset + int(n.Raw.Offset)})
	}
	return out
}

// header returns the table that follows a [header] or [[header]].
func (r *reader) header(root *node, e *unstable.Node) (*node, bool) {
	keys := r.keys(e.Key())
	last := keys[len(keys)-1]
	n, ok := r.descend(root, keys[:len(keys)-1], true)
	if !ok {
		return nil, false
	}
	have := n.get(last.name)
	if e.Kind == unstable.ArrayTable {
		if have == nil {
			have = n.put(last.name, last.at, &node{kind: list, at: last.at, tables: true})
		}
		if !have.tables {
			return nil, r.twice(last)
		}
		item := &node{kind: table, at: last.at}
		have.items = append(have.items, item)
		return item, true
	}
	if have == nil {
		have = n.put(last.name, last.at, &node{kind: table, at: last.at})
	}
	if have.kind != table || have.closed {
		return nil, r.twice(last)
	}
	have.closed = true
	return have, true
}

// descend walks to a table, making what is missing. A header may pass through a
// closed table and the last one of [[headers]], a dotted key may not.
func (r *reader) descend(n *node, keys []key, header bool) (*node, bool) {
	for _, k := range keys {
		next := n.get(k.name)
		if next == nil {
			n = n.put(k.name, k.at, &node{kind: table, at: k.at, closed: !header})
			continue
		}
		if header && next.tables {
			next = next.items[len(next.items)-1]
		}
		if next.kind != table || next.inline {
			return nil, r.twice(k)
		}
		n = next
	}
	return n, true
}

func (r *reader) keyValue(n *node, e *unstable.Node) bool {
	keys := r.keys(e.Key())
	last := keys[len(keys)-1]
	n, ok := r.descend(n, keys[:len(keys)-1], false)
	if !ok {
		return false
	}
	if n.get(last.name) != nil {
		return r.twice(last)
	}
	v, ok := r.value(e.Value(), last.at)
	n.put(last.name, last.at, v)
	return ok
}

// value converts a value; at is the place of what has none of its own.
func (r *reader) value(v *unstable.Node, at int) (*node, bool) {
	n := &node{at: at}
	if v.Raw.Length > 0 {
		n.at = r.offset + int(v.Raw.Offset)
	}
	switch v.Kind {
	case unstable.String:
		n.kind, n.text = text, string(v.Data)
	case unstable.Array:
		n.kind = list
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			item, ok := r.value(it.Node(), n.at)
			if !ok {
				return n, false
			}
			n.items = append(n.items, item)
		}
	case unstable.InlineTable:
		n.kind = table
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue && !r.keyValue(n, it.Node()) {
				return n, false
			}
		}
		n.closed, n.inline = true, true
	}
	return n, true
}

func (r *reader) twice(k key) bool {
	r.fail(k.at, fmt.Sprintf("%q is defined twice, or as something else before", k.name), "")
	return false
}
