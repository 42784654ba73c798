package audit

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
)

// siem writes events for a log collector, one line each. Such lines carry no
// proof.
type siem interface {
	event(api.Event) error
	end() error
}

// row is what a collector is told of an event; all texts are still raw.
type row struct {
	n     int64
	time  time.Time // zero for an event that was erased
	event canon.Event
}

func rowOf(e api.Event) row {
	r := row{n: e.N}
	if json.Unmarshal(e.Body, &r.event) != nil {
		r.event = canon.Event{Type: "erased"}
		return r
	}
	r.time = time.UnixMilli(r.event.Time).UTC()
	return r
}

// refs joins references; none of them can contain a semicolon.
func (r row) refs() string { return strings.Join(r.event.Refs, ";") }

type csvWriter struct{ w *csv.Writer }

func newCSV(w io.Writer) (siem, error) {
	c := csv.NewWriter(w)
	return csvWriter{c}, c.Write([]string{"n", "time", "type", "outcome", "kind", "agent", "action", "refs", "request", "reason"})
}

func (c csvWriter) event(e api.Event) error {
	r := rowOf(e)
	when := ""
	if !r.time.IsZero() {
		when = r.time.Format("2006-01-02T15:04:05.000Z07:00")
	}
	ev := r.event
	cells := []string{strconv.FormatInt(r.n, 10), when, string(ev.Type), ev.Outcome, ev.Kind, ev.Agent, ev.Action, r.refs(), ev.Request, ev.Reason}
	for i := range cells {
		cells[i] = cell(cells[i])
	}
	return c.w.Write(cells)
}

func (c csvWriter) end() error {
	c.w.Flush()
	return c.w.Error()
}

// cell makes a text one that no spreadsheet takes for a formula, on one line.
// Spreadsheets skip white space in front, and some know the wide forms.
func cell(s string) string {
	s = canon.Escape(s)
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, unicode.IsSpace))
	if strings.ContainsRune("=+-@＝＋－＠", first) {
		return "'" + s
	}
	return s
}

type cefWriter struct {
	w       io.Writer
	version string
}

// event writes CEF:0. Custom strings carry what CEF has no name for.
func (c cefWriter) event(e api.Event) error {
	r := rowOf(e)
	ev := r.event
	var b strings.Builder
	fmt.Fprintf(&b, "CEF:0|Thumbturn|Thumbturn|%s|%s|%s|%d|externalId=%d",
		cefHeader(c.version), cefHeader(string(ev.Type)), cefHeader(strings.Join(nonEmpty(string(ev.Type), ev.Outcome, ev.Action), " ")), severity(ev), r.n)
	if !r.time.IsZero() {
		fmt.Fprintf(&b, " rt=%d", r.time.UnixMilli())
	}
	for _, kv := range [][2]string{{"outcome", ev.Outcome}, {"act", ev.Action}, {"reason", ev.Reason}} {
		if kv[1] != "" {
			b.WriteString(" " + kv[0] + "=" + cefValue(kv[1]))
		}
	}
	for i, kv := range [][2]string{{"kind", ev.Kind}, {"agent", ev.Agent}, {"refs", r.refs()}, {"request", ev.Request}} {
		if kv[1] != "" {
			fmt.Fprintf(&b, " cs%dLabel=%s cs%d=%s", i+1, kv[0], i+1, cefValue(kv[1]))
		}
	}
	_, err := io.WriteString(c.w, b.String()+"\n")
	return err
}

func (cefWriter) end() error { return nil }

func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// severity is CEF's, 0 to 10.
func severity(ev canon.Event) int {
	switch {
	case ev.Type == canon.EventDenial:
		return 6
	case ev.Outcome == "failed" || ev.Outcome == "denied":
		return 5
	case ev.Type == canon.EventIntent || ev.Type == canon.EventDecision || ev.Type == canon.EventWrite:
		return 3
	}
	return 1
}

// cefHeader escapes for the part before the extension, where a line break has
// no spelling: it is shown as canon.Escape shows it.
func cefHeader(s string) string {
	s = strings.ReplaceAll(canon.Escape(s), `\`, `\\`)
	return strings.ReplaceAll(s, "|", `\|`)
}

// cefValue escapes the value of an extension. Line breaks have a spelling
// there; other characters that a reader could take for more than text are shown
// as canon.Escape shows them.
func cefValue(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		switch c := s[i : i+n]; c {
		case `\`, "=":
			b.WriteString(`\` + c)
		case "\n":
			b.WriteString(`\n`)
		case "\r":
			b.WriteString(`\r`)
		default:
			b.WriteString(strings.ReplaceAll(canon.Escape(c), `\`, `\\`))
		}
		i += n
	}
	return b.String()
}
