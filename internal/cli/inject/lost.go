package inject

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// maxLookups bounds how many items are looked for after a request failed.
const maxLookups = 500

// lost is a reference that leads nowhere.
type lost struct {
	pos int
	err *fault.Error
}

// located turns the error of a request into one that says where in the template
// the reference stands. The daemon stops at the first that leads nowhere; whoever
// mends a template wants them all, so the other items are looked for by name.
func (o Options) located(ctx context.Context, s *sdk.Client, t template, err error) error {
	first := console.Fault(err)
	if first == nil || !astray(first) {
		return err
	}
	where := t.firsts()
	pos, ok := where.of(first.Ref)
	if !ok {
		return err
	}
	all := []lost{{pos, first}}
	for i, x := range where.items {
		if i == maxLookups {
			break
		}
		if slices.ContainsFunc(all, func(l lost) bool { return names(l.err.Ref, x.ref) }) {
			continue
		}
		_, err := s.ItemGet(ctx, api.ItemGet{Ask: api.Ask{NoWait: true}, Vault: x.ref.Vault, Item: x.ref.Item}, nil)
		if e := console.Fault(err); e != nil && astray(e) {
			all = append(all, lost{x.pos, e})
		} else if e != nil {
			break // locked, refused or gone: the first error has to do
		}
	}
	place := t.places()
	if len(all) > 1 {
		return o.report(t, place, all)
	}
	c := *first
	c.Msg, c.Op, c.Ref, c.Err = without(c), "", place(pos), nil
	return &c
}

func (o Options) report(t template, place func(int) string, all []lost) error {
	sort.SliceStable(all, func(i, j int) bool { return all[i].pos < all[j].pos })
	lines := make([]string, len(all))
	for i, l := range all {
		lines[i] = place(l.pos) + ": " + without(*l.err)
		if l.err.Hint != "" {
			lines[i] += " (" + l.err.Hint + ")"
		}
	}
	return o.fail(fault.NotFound, t, lines, fmt.Sprintf("%d references lead nowhere; nothing was written", len(all)), "")
}

// fail prints the lines, or puts them into the error where that is all that is
// printed.
func (o Options) fail(k fault.Kind, t template, lines []string, summary, hint string) error {
	if o.Console.JSON() {
		summary = strings.Join(append(lines, summary), "\n")
	} else {
		for _, l := range lines {
			o.Console.Say("%s", canon.Escape(l))
		}
	}
	return fault.New(k, "inject", t.name, summary).WithHint(hint)
}

func astray(e *fault.Error) bool { return e.Kind == fault.NotFound || e.Kind == fault.Ambiguous }

// without is an error's text without what was being done.
func without(e fault.Error) string {
	e.Op = ""
	return e.Error()
}

// standing is where references stand first.
type standing struct {
	refs, items []stand // in order; items has one of each item
}

type stand struct {
	ref ref.Ref
	pos int
}

func (t template) firsts() standing {
	var all standing
	refs, items := map[ref.Ref]bool{}, map[string]bool{}
	_, missing := t.parsed.AppendTo(nil, func(ref.Ref) ([]byte, bool) { return nil, false })
	for _, e := range each(missing) {
		r, err := ref.Parse(e.Ref)
		if err != nil || refs[r] {
			continue
		}
		refs[r] = true
		all.refs = append(all.refs, stand{r, e.Pos})
		if item := strings.ToLower(r.Vault + "/" + r.Item); !items[item] {
			items[item] = true
			all.items = append(all.items, stand{r, e.Pos})
		}
	}
	return all
}

// of returns where the first reference stands that the daemon can mean.
func (s standing) of(what string) (int, bool) {
	for _, x := range s.refs {
		if names(what, x.ref) {
			return x.pos, true
		}
	}
	return 0, false
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
