package inject

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// mistake is one thing that is wrong with a template.
type mistake struct {
	pos  int // bytes from its start
	kind fault.Kind
	msg  string
	hint string
}

// refused tells what is wrong with a template whose references do not all
// parse: also which of the others lead nowhere, if the daemon can say.
func (o Options) refused(ctx context.Context, t template) error {
	all, note := t.bad, ""
	if refs, _ := distinct(t.parsed.Refs()); len(refs) > 0 {
		note = "; the other references were not looked up"
		if len(refs) <= api.MaxValues {
			_ = o.Console.Session(ctx, func(s *sdk.Client) error {
				lost, err := look(ctx, s, t)
				if err == nil {
					all, note = append(all, lost...), ""
				}
				return nil
			})
		}
	}
	return o.report(t, all, note)
}

// astray turns the error of a request into all that is wrong with the template:
// the daemon stops at the first reference that leads nowhere, and whoever mends
// a template wants them all. What cannot be looked up stays the one error.
func (o Options) astray(ctx context.Context, s *sdk.Client, t template, err error) error {
	first := console.Fault(err)
	if first == nil || first.Kind != fault.NotFound && first.Kind != fault.Ambiguous && first.Kind != fault.Usage {
		return err
	}
	lost, failed := look(ctx, s, t)
	if failed == nil && len(lost) > 0 {
		return o.report(t, lost, "")
	}
	for _, x := range t.stands() {
		if names(first.Ref, x.ref) {
			c := *first
			c.Msg, c.Op, c.Ref, c.Err = without(c), "", t.places()(x.pos), nil
			return &c
		}
	}
	return err
}

// report prints every mistake with its place, or puts them into the error where
// that is all that is printed.
func (o Options) report(t template, all []mistake, note string) error {
	sort.SliceStable(all, func(i, j int) bool { return all[i].pos < all[j].pos })
	place, kind := t.places(), all[0].kind
	lines := make([]string, len(all))
	for i, m := range all {
		lines[i] = place(m.pos) + ": " + m.msg
		if m.hint != "" {
			lines[i] += " (" + m.hint + ")"
		}
		if m.kind == fault.Usage || kind == fault.Ambiguous {
			kind = m.kind
		}
	}
	summary := fmt.Sprintf("%d bad references; nothing was written", len(lines))
	if len(lines) == 1 {
		summary = "nothing was written"
	}
	summary += note
	if o.Console.JSON() {
		summary = strings.Join(append(lines, summary), "\n")
	} else {
		for _, l := range lines {
			o.Console.Say("%s", canon.Escape(l))
		}
	}
	return fault.New(kind, "inject", t.name, summary)
}

// without is an error's text without what was being done.
func without(e fault.Error) string {
	e.Op = ""
	return e.Error()
}

// stand is a reference and where it stands.
type stand struct {
	ref ref.Ref
	pos int
}

// stands returns the references of a template in order, each as often as it is
// there.
func (t template) stands() []stand {
	var all []stand
	_, missing := t.parsed.AppendTo(nil, func(ref.Ref) ([]byte, bool) { return nil, false })
	for _, e := range each(missing) {
		if r, err := ref.Parse(e.Ref); err == nil {
			all = append(all, stand{r, e.Pos})
		}
	}
	return all
}

// names reports whether the daemon means r, or the item or vault of r, by what.
func names(what string, r ref.Ref) bool {
	item := r.Vault + "/" + r.Item
	for _, s := range []string{r.String(), r.Vault, item, "op://" + item} {
		if what != "" && strings.EqualFold(what, s) {
			return true
		}
	}
	return false
}
