package item

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// selector is a parsed --fields: which fields, and whether by type, which makes
// the JSON an array even for one match.
type selector struct {
	labels []string
	types  []string
}

func parseSelector(s string) (selector, error) {
	var out selector
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if l, ok := strings.CutPrefix(part, "label="); ok && l != "" {
			out.labels = append(out.labels, l)
		} else if t, ok := strings.CutPrefix(part, "type="); ok && t != "" {
			out.types = append(out.types, t)
		} else if part != "" && !ok && !strings.HasPrefix(part, "label=") {
			out.labels = append(out.labels, part)
		} else {
			return out, console.Usage("--fields wants label=NAME, type=TYPE or NAME, separated by commas")
		}
	}
	return out, nil
}

// pick returns the indexes of the chosen fields, in the order asked for.
func (s selector) pick(it api.Item) ([]int, error) {
	var out []int
	add := func(match func(api.Field) bool) int {
		n := 0
		for i, f := range it.Fields {
			if match(f) {
				n++
				if !slices.Contains(out, i) {
					out = append(out, i)
				}
			}
		}
		return n
	}
	for _, l := range s.labels {
		n := add(func(f api.Field) bool { return f.Label == l || f.ID == l || f.Section+"."+f.Label == l })
		if n == 0 {
			var names []string
			for _, f := range it.Fields {
				names = append(names, f.Label)
			}
			return nil, fault.New(fault.NotFound, "item get", it.ID, fmt.Sprintf("the item has no field %q", l)).
				WithHint(console.Near(l, names, "`thumbturn item get "+it.ID+"` shows what there is"))
		}
	}
	for _, t := range s.types {
		want := t
		if j, ok := jsonType(t); ok {
			want = j
		}
		add(func(f api.Field) bool { return strings.EqualFold(f.Type, want) })
	}
	return out, nil
}

// printFields writes the chosen fields: one CSV line, or as JSON one object for
// a single label and an array otherwise.
func printFields(c *console.Console, it api.Item, sel selector, chosen []int, values shape.Values) error {
	var shaped []shape.Field
	for _, i := range chosen {
		f, err := shape.FieldOf(it.Fields[i], values[i], shape.Hidden(it.ID))
		if err != nil {
			return err
		}
		shaped = append(shaped, f)
	}
	if c.JSON() {
		if len(shaped) == 1 && len(sel.types) == 0 {
			return c.PrintJSON(shaped[0])
		}
		return c.PrintJSON(append([]shape.Field{}, shaped...))
	}
	row := make([]string, len(shaped))
	for i, f := range shaped {
		row[i] = f.Value
	}
	w := csv.NewWriter(c.Out)
	if err := w.Write(row); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}
