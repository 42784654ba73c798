package ref

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatch(t *testing.T) {
	const item = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	fields := []Name{
		{ID: "password", Label: "Password"},
		{ID: "f2", Section: "Root", Label: "password"},
		{ID: "f3", Section: "Root", Label: " Token "},
		{ID: "f4", Label: "f3"},
		{ID: "F3", Label: "upper"},
	}
	for _, tt := range []struct {
		name string
		ref  Ref
		want []string
	}{
		{"a label", Ref{Item: "x", Field: "upper"}, []string{"F3"}},
		{"case and outer spaces do not count", Ref{Item: "x", Field: "TOKEN"}, []string{"f3"}},
		{"an id", Ref{Item: "x", Field: "f2"}, []string{"f2"}},
		{"an id counts as it is", Ref{Item: "x", Section: "root", Field: "F2"}, nil},
		{"several, in order", Ref{Item: "x", Field: "password"}, []string{"password", "f2"}},
		{"a section tells them apart", Ref{Item: "x", Section: "rOOt", Field: "password"}, []string{"f2"}},
		{"a section that is not there", Ref{Item: "x", Section: "other", Field: "password"}, nil},
		{"an id is another's label", Ref{Item: "x", Field: "f3"}, []string{"f3", "f4"}},
		{"ids go together", Ref{Item: item, Field: "f3"}, []string{"f3"}},
		{"ids go together, whatever comes first", Ref{Item: item, Field: "password"}, []string{"password"}},
		{"an item's id and a field's label", Ref{Item: item, Field: "token"}, []string{"f3"}},
		{"an item's id and a section", Ref{Item: item, Section: "Root", Field: "password"}, []string{"f2"}},
		{"nothing", Ref{Item: item, Field: "nothing"}, nil},
		{"the zero reference", Ref{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range Match(tt.ref, item, fields, func(n *Name) Name { return *n }) {
				got = append(got, f.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	// An earlier label does not stand in the way of a later id.
	later := []Name{{ID: "one", Label: "two"}, {ID: "two", Label: "three"}}
	if got := Match(Ref{Item: item, Field: "two"}, item, later, func(n *Name) Name { return *n }); len(got) != 1 || got[0] != &later[1] {
		t.Errorf("got %v, want the field itself", got)
	}
}

func TestFold(t *testing.T) {
	for s, want := range map[string]string{"": "", " a B ": "a b", "ÄÖ": "äö", "a\tb\n": "a\tb"} {
		if got := Fold(s); got != want || Fold(got) != got {
			t.Errorf("Fold(%q) = %q", s, got)
		}
	}
}
