package strict

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The parser accepts nothing that encoding/json refuses, and reads strings as
// it does.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":"\u00e9\ud83d\ude00\n","b":[1,-0.5e+3,true,null]}`, `["\"\\\/\b\f\n\r\t"]`, `{"a":1,"a":2}`, `[1,]`, `"\ud800"`, "[\"\xff\"]", `01`, ``, `{"a"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := JSON(bytes.Clone(data))
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		for _, n := range all {
			var want any
			if err := d.Decode(&want); err != nil {
				t.Fatalf("%q: accepted, %v", data, err)
			}
			if diff := cmp.Diff(want, plain(n)); diff != "" {
				t.Fatalf("%q: %s", data, diff)
			}
		}
	})
}

// plain is what encoding/json makes of a value.
func plain(n Node) any {
	switch n.Kind {
	case '"':
		return string(n.Text)
	case '0':
		return json.Number(n.Text)
	case 't', 'f':
		return n.Kind == 't'
	case '[':
		out := []any{}
		for _, k := range n.Kids {
			out = append(out, plain(k))
		}
		return out
	case '{':
		out := map[string]any{}
		for i, k := range n.Keys {
			out[k] = plain(n.Kids[i])
		}
		return out
	}
	return nil
}

// The bound on values stops a parser that has seen as many.
func TestManyValues(t *testing.T) {
	for nodes, ok := range map[int]bool{maxNodes - 2: true, maxNodes - 1: false} {
		p := jsonParser{data: []byte("[0]"), nodes: nodes, names: map[string]string{}}
		if _, err := p.value(); (err == nil) != ok {
			t.Errorf("%d: %v", nodes, err)
		}
	}
}

func TestRowsOfAnyForm(t *testing.T) {
	want := [][]string{{"a", "b"}, {"c", ""}, {"", "d\r\ne"}}
	for _, in := range []string{"a,b\nc,\n,\"d\r\ne\"", "a,b\r\n\r\n\"c\",\"\"\r\n,\"d\r\ne\"\r\n", "a,b\n\nc,\r\n,\"d\r\ne\"\r"} {
		var got [][]string
		err := Rows([]byte(in), func(_ int, cells [][]byte) error {
			var row []string
			for _, c := range cells {
				row = append(row, string(c))
			}
			got = append(got, row)
			return nil
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", in, err, diff)
		}
	}
}

// What encoding/csv accepts and what Rows accepts agree, but for a carriage
// return, which encoding/csv drops from within quotes.
func FuzzRows(f *testing.F) {
	for _, s := range []string{"a,b\n", "\"a\"\"\",\r\n", "\"", "a\"b", ",", "\n\n,\n", "\"a\"b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.IndexByte(data, '\r') >= 0 {
			data = bytes.ReplaceAll(data, []byte("\r"), nil)
		}
		r := csv.NewReader(bytes.NewReader(data))
		r.FieldsPerRecord = -1
		want, wrong := r.ReadAll()
		var got [][]string
		err := Rows(bytes.Clone(data), func(_ int, cells [][]byte) error {
			var row []string
			for _, c := range cells {
				row = append(row, string(c))
			}
			got = append(got, row)
			return nil
		})
		if err != nil && strings.Contains(err.Error(), "more than") {
			return
		}
		var kept [][]string // a row of one empty cell is a blank line to Rows
		for _, row := range want {
			if len(row) > 1 || row[0] != "" {
				kept = append(kept, row)
			}
		}
		if (err == nil) != (wrong == nil) || err == nil && cmp.Diff(kept, got) != "" {
			t.Fatalf("%q: %v and %v: %s", data, err, wrong, cmp.Diff(kept, got))
		}
	})
}

// A key that stands twice is found however many stand between.
func TestKeyTwice(t *testing.T) {
	for _, n := range []int{1, 14, 15, 16, 17, 18, 1000} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":0,`, i)
		}
		for last, bad := range map[string]bool{`"k0":1`: true, fmt.Sprintf(`"k%d":1`, n-1): true, `"other":1`: false} {
			if _, err := JSON([]byte("{" + b.String() + last + "}")); (err != nil) != bad {
				t.Errorf("%d keys and %s: %v", n, last, err)
			}
		}
	}
}
