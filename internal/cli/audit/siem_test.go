package audit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
)

func encoded(t testing.TB, n int64, ev canon.Event) api.Event {
	t.Helper()
	b, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	return api.Event{N: n, Body: b}
}

func written(t testing.TB, format string, events ...api.Event) string {
	t.Helper()
	var b bytes.Buffer
	out := siem(cefWriter{&b, "1.2.3"})
	if format == "csv" {
		var err error
		if out, err = newCSV(&b); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range events {
		if err := out.event(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.end(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCell(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)",
		" =1": "' =1", "\t=1": `\u{9}=1`, "\r\n=1": `\u{d}\u{a}=1`, "＝1": "'＝1", "'=1": "'=1", "\x1b]0;x\x07": `\u{1b}]0;x\u{7}`,
		"\u00a0=1": `\u{a0}=1`, "\u202e=": `\u{202e}=`, "\xff": `\x{ff}`, "größe": "größe", "\x00": `\u{0}`,
	} {
		if got := cell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCEFEscapes(t *testing.T) {
	for _, tt := range []struct{ in, header, value string }{
		{"", "", ""},
		{"plain text", "plain text", "plain text"},
		{"a|b", `a\|b`, "a|b"},
		{"a=b", "a=b", `a\=b`},
		{`a\b`, `a\\b`, `a\\b`},
		{`\|=`, `\\\|=`, `\\|\=`},
		{"a\nb\r", `a\\u{a}b\\u{d}`, `a\nb\r`},
		{"\nCEF:0|x", `\\u{a}CEF:0\|x`, `\nCEF:0|x`},
		{"\x1b[31m", `\\u{1b}[31m`, `\\u{1b}[31m`},
		{"\xc3", `\\x{c3}`, `\\x{c3}`},
		{"\u2028", `\\u{2028}`, `\\u{2028}`},
	} {
		if got := cefHeader(tt.in); got != tt.header {
			t.Errorf("header %q: %q, want %q", tt.in, got, tt.header)
		}
		if got := cefValue(tt.in); got != tt.value {
			t.Errorf("value %q: %q, want %q", tt.in, got, tt.value)
		}
	}
}

func TestSIEMLines(t *testing.T) {
	events := []api.Event{
		encoded(t, 4, canon.Event{Type: canon.EventIntent, Time: 1_700_000_000_123, Outcome: "allowed", Kind: "agent", Agent: "claude",
			Action: "hold", Refs: []string{"op://a/b/c", "op://a/b c/d"}, Request: "r1", Reason: `=HYPERLINK("x")`}),
		encoded(t, 5, canon.Event{Type: canon.EventDenial, Time: 1_700_000_000_000, Outcome: "denied", Reason: "a=b|c\nd,\"e\""}),
		{N: 6},
	}
	wantCSV := "n,time,type,outcome,kind,agent,action,refs,request,reason\n" +
		"4,2023-11-14T22:13:20.123Z,intent,allowed,agent,claude,hold,op://a/b/c;op://a/b c/d,r1,\"'=HYPERLINK(\"\"x\"\")\"\n" +
		"5,2023-11-14T22:13:20.000Z,denial,denied,,,,,,\"a=b|c\\u{a}d,\"\"e\"\"\"\n" +
		"6,,erased,,,,,,,\n"
	if diff := cmp.Diff(wantCSV, written(t, "csv", events...)); diff != "" {
		t.Error(diff)
	}
	wantCEF := "CEF:0|Thumbturn|Thumbturn|1.2.3|intent|intent allowed hold|3|externalId=4 rt=1700000000123 outcome=allowed act=hold " +
		"reason=\\=HYPERLINK(\"x\") cs1Label=kind cs1=agent cs2Label=agent cs2=claude cs3Label=refs cs3=op://a/b/c;op://a/b c/d cs4Label=request cs4=r1\n" +
		"CEF:0|Thumbturn|Thumbturn|1.2.3|denial|denial denied|6|externalId=5 rt=1700000000000 outcome=denied reason=a\\=b|c\\nd,\"e\"\n" +
		"CEF:0|Thumbturn|Thumbturn|1.2.3|erased|erased|1|externalId=6\n"
	if diff := cmp.Diff(wantCEF, written(t, "cef", events...)); diff != "" {
		t.Error(diff)
	}
}

// parseCEF is a reader of CEF as its description says: a header of seven parts,
// then key=value pairs whose values last until the next key.
func parseCEF(t testing.TB, line string) (header []string, ext map[string]string) {
	t.Helper()
	var part strings.Builder
	i := 0
	for ; i < len(line) && len(header) < 7; i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && strings.IndexByte(`\|`, line[i+1]) >= 0:
			i++
			part.WriteByte(line[i])
		case c == '|':
			header = append(header, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	if len(header) != 7 {
		t.Fatalf("%d parts in the header of %q", len(header), line)
	}
	ext = map[string]string{}
	// An "=" that is not escaped ends a key; the key began at the last blank.
	key, rest := "", line[i:]
	start := 0
	for j := 0; j < len(rest); j++ {
		switch rest[j] {
		case '\\':
			j++
		case '=':
			from := strings.LastIndexByte(rest[start:j], ' ') + 1 + start
			if key != "" {
				ext[key] = unescapeCEF(t, rest[start:max(from-1, start)])
			}
			key, start = rest[from:j], j+1
		}
	}
	ext[key] = unescapeCEF(t, rest[start:])
	return header, ext
}

func unescapeCEF(t testing.TB, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			t.Fatalf("%q ends in a backslash", s)
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case '\\', '=':
			b.WriteByte(s[i])
		default:
			t.Fatalf("%q has the unknown escape %q", s, s[i])
		}
	}
	return b.String()
}

// shown is what a collector reads of a text: as it was, but for what
// canon.Escape replaces; in a value of CEF line breaks stay.
func shown(s string, keepBreaks bool) string {
	if !keepBreaks {
		return canon.Escape(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		if c := s[i : i+n]; c == "\n" || c == "\r" {
			b.WriteString(c)
		} else {
			b.WriteString(canon.Escape(c))
		}
		i += n
	}
	return b.String()
}

// Whatever stands in an event, a collector reads as many events as there were,
// and in each the texts that stood there.
func FuzzSIEM(f *testing.F) {
	for _, s := range []string{"", "a", "=1+1", " @x", "a|b\\|c", `\`, `\n`, "x=y cs1=z", "\r\n", "\nCEF:0|a|b|c|d|e|1|", `",",`, "\x1b[2J\u202e", "\xff\xfe", "'=", "＋1", "a\\", "cs4= x"} {
		f.Add(s, "agent", "op://a/b/c")
		f.Add("hold", s, s)
	}
	f.Fuzz(func(t *testing.T, reason, agent, reference string) {
		in := canon.Event{Type: canon.EventType(agent), Time: 1_700_000_000_000, Outcome: reason, Agent: agent, Refs: []string{reference}, Reason: reason}
		e := encoded(t, 7, in)
		var ev canon.Event // JSON has replaced what is not UTF-8
		if err := json.Unmarshal(e.Body, &ev); err != nil {
			t.Fatal(err)
		}
		text := written(t, "csv", e, e)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) != 3 || strings.Count(text, "\n") != 3 {
			t.Fatalf("%d rows of %q: %v", len(rows), text, err)
		}
		for i, want := range map[int]string{2: string(ev.Type), 3: ev.Outcome, 5: ev.Agent, 7: ev.Refs[0], 9: ev.Reason} {
			got := rows[2][i]
			if first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(got, unicode.IsSpace)); strings.ContainsRune("=+-@", first) {
				t.Errorf("column %d is a formula: %q", i, got)
			}
			if got != shown(want, false) && got != "'"+shown(want, false) {
				t.Errorf("column %d: %q became %q", i, want, got)
			}
		}
		text = written(t, "cef", e, e)
		lines := strings.Split(text, "\n")
		if len(lines) != 3 || lines[2] != "" {
			t.Fatalf("%d lines: %q", len(lines), text)
		}
		header, ext := parseCEF(t, lines[1])
		if header[4] != shown(string(ev.Type), false) {
			t.Errorf("type %q became %q", ev.Type, header[4])
		}
		for key, want := range map[string]string{"outcome": ev.Outcome, "reason": ev.Reason, "cs2": ev.Agent, "cs3": ev.Refs[0]} {
			if got := ext[key]; got != shown(want, true) {
				t.Errorf("%s: %q became %q in %q", key, want, got, lines[1])
			}
		}
		if ext["externalId"] != "7" || ext["rt"] != "1700000000000" {
			t.Errorf("%q: %q", lines[1], ext)
		}
	})
}
