package inject

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// maxCompared bounds how many names are compared with misspelt ones in one
// template. Mistakes beyond that come without a suggestion, so that many
// misspelt names in a large vault cost no more than one after the other.
const maxCompared = 200_000

// catalog is what is known of the vaults while references are looked up. Each
// vault is listed once, each item asked for once.
type catalog struct {
	ctx      context.Context
	s        *sdk.Client
	vaults   []api.Vault
	listed   map[string]*titles  // by a vault's id
	items    map[string]api.Item // by id
	said     map[string]*mistake // by folded reference; nil is good
	compared int
}

// titles are the items of a vault.
type titles struct {
	names []string
	ids   map[string][]string // by folded title
	all   map[string]bool     // ids
}

// look returns each reference that names no field, or several, or one that
// cannot give what is asked of it. It asks for no value. An error means that it
// could not look at everything, and nothing is known then.
func look(ctx context.Context, s *sdk.Client, t template) ([]mistake, error) {
	c := catalog{ctx: ctx, s: s, listed: map[string]*titles{}, items: map[string]api.Item{}, said: map[string]*mistake{}}
	var err error
	if c.vaults, err = s.Vaults(ctx); err != nil {
		return nil, err
	}
	var all []mistake
	for _, x := range t.stands() {
		key := ref.Fold(x.ref.String())
		m, known := c.said[key]
		if !known {
			if m, err = c.judge(x.ref); err != nil {
				return nil, err
			}
			c.said[key] = m
		}
		if m != nil {
			here := *m
			here.pos = x.pos
			all = append(all, here)
		}
	}
	return all, nil
}

// judge says what is wrong with a reference, nil for nothing.
func (c *catalog) judge(r ref.Ref) (*mistake, error) {
	v, bad := c.vault(r)
	if bad != nil {
		return bad, nil
	}
	in, err := c.list(v)
	if err != nil {
		return nil, err
	}
	ids := in.ids[ref.Fold(r.Item)]
	if in.all[r.Item] {
		ids = []string{r.Item}
	}
	switch len(ids) {
	case 1:
	case 0:
		return c.missing(fmt.Sprintf("%s/%s: %q isn't an item in the %q vault", v.Name, r.Item, r.Item, v.Name), r.Item, in.names), nil
	default:
		return several(fmt.Sprintf("%s/%s: more than one item matches %q", v.Name, r.Item, r.Item),
			"specify the item by its id", ids), nil
	}
	it, ok := c.items[ids[0]]
	if !ok {
		if it, err = c.s.ItemGet(c.ctx, api.ItemGet{Ask: api.Ask{NoWait: true}, Vault: v.ID, Item: ids[0]}, nil); err != nil {
			return nil, err
		}
		c.items[ids[0]] = it
	}
	return c.field(it, r), nil
}

func (c *catalog) vault(r ref.Ref) (api.Vault, *mistake) {
	var hit []api.Vault
	var names, ids []string
	for _, v := range c.vaults {
		names = append(names, v.Name)
		if v.ID == r.Vault || ref.Fold(v.Name) == ref.Fold(r.Vault) {
			hit, ids = append(hit, v), append(ids, v.ID)
		}
	}
	switch len(hit) {
	case 1:
		return hit[0], nil
	case 0:
		return api.Vault{}, c.missing(fmt.Sprintf("%q isn't a vault in this account", r.Vault), r.Vault, names)
	}
	return api.Vault{}, several(fmt.Sprintf("more than one vault matches %q", r.Vault), "use the id", ids)
}

func (c *catalog) list(v api.Vault) (*titles, error) {
	if in := c.listed[v.ID]; in != nil {
		return in, nil
	}
	in := &titles{ids: map[string][]string{}, all: map[string]bool{}}
	c.listed[v.ID] = in
	return in, c.s.Items(c.ctx, api.ItemList{Vault: v.ID}, func(it api.Item) error {
		in.names = append(in.names, it.Title)
		in.ids[ref.Fold(it.Title)] = append(in.ids[ref.Fold(it.Title)], it.ID)
		in.all[it.ID] = true
		return nil
	})
}

func (c *catalog) field(it api.Item, r ref.Ref) *mistake {
	hit := ref.Match(r, it.ID, it.Fields, sdk.FieldName)
	at := it.Vault.Name + "/" + it.Title
	name := strings.TrimPrefix(r.Section+"."+r.Field, ".")
	switch {
	case len(hit) == 0:
		var labels []string
		for _, f := range it.Fields {
			labels = append(labels, f.Label)
		}
		return c.missing(fmt.Sprintf("item '%s' does not have a field '%s'", at, name), r.Field, labels)
	case len(hit) > 1:
		var uses []string
		for _, f := range hit {
			uses = append(uses, f.Reference)
		}
		return several(fmt.Sprintf("item '%s' has more than one field '%s'", at, name), "use one of", uses)
	case r.Query == ref.QueryOTP && hit[0].Type != "OTP":
		return &mistake{kind: fault.Usage, msg: fmt.Sprintf("field '%s' of item '%s' is no one-time password", name, at)}
	case !hit[0].Value && opens(r.Query):
		return &mistake{kind: fault.NotFound, msg: fmt.Sprintf("field '%s' of item '%s' has no value", name, at)}
	}
	return nil
}

// opens reports whether a parameter asks for what is made of the value, and not
// for what is known of the field.
func opens(q ref.Query) bool {
	switch q {
	case "", ref.QueryValue, ref.QueryContent, ref.QueryOTP, ref.QueryOpenSSH:
		return true
	}
	return false
}

// missing is what no candidate is the name of; the nearest one is suggested.
func (c *catalog) missing(msg, name string, candidates []string) *mistake {
	m := &mistake{kind: fault.NotFound, msg: msg}
	candidates = candidates[:min(len(candidates), max(0, maxCompared-c.compared))]
	c.compared += len(candidates)
	if s := ref.Suggest(name, candidates); s != "" {
		m.hint = fmt.Sprintf("did you mean %q?", s)
	}
	return m
}

func several(msg, hint string, which []string) *mistake {
	sort.Strings(which)
	return &mistake{kind: fault.Ambiguous, msg: msg, hint: hint + ": " + strings.Join(which[:min(len(which), 10)], ", ")}
}
