package ref

import "strings"

// Fold returns the form in which names of vaults, items, sections and fields
// are compared: letter case and outer spaces do not count. Titles are found by
// a keyed hash of it, so a change would lose every item stored before.
func Fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Name is what a reference can call a field by.
type Name struct{ ID, Section, Label string }

// Match returns the fields that r means among those of an item, in their order:
// none, the one, or several that r does not tell apart. A section or a label
// counts by its Fold, an id as it is. One field may be labelled as another's id:
// where r has the item by its id and no section, as programs write it, the id
// goes first.
func Match[F any](r Ref, item string, fields []F, name func(*F) Name) []*F {
	var hit []*F
	for i := range fields {
		f, n := &fields[i], name(&fields[i])
		if r.Item == item && r.Section == "" && n.ID == r.Field {
			return []*F{f}
		}
		if r.Section != "" && Fold(n.Section) != Fold(r.Section) {
			continue
		}
		if n.ID == r.Field || Fold(n.Label) == Fold(r.Field) {
			hit = append(hit, f)
		}
	}
	return hit
}
