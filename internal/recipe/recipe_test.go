package recipe

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRecipe(t *testing.T) {
	for s, want := range map[string]Recipe{
		Default:             {[]string{letters, digits, symbols}, 32},
		"":                  {[]string{letters, digits, symbols}, 32},
		"20":                {[]string{letters, digits, symbols}, 20},
		"digits,6":          {[]string{digits}, 6},
		" 64 , letters":     {[]string{letters}, 64},
		"symbols,1,letters": {nil, 0}, // no room for both
		"0":                 {nil, 0}, "65": {nil, 0}, "words": {nil, 0}, "letters,-3": {nil, 0},
	} {
		got, err := Parse(s)
		if (err == nil) != (want.length > 0) {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if err == nil && (got.length != want.length || strings.Join(got.classes, "|") != strings.Join(want.classes, "|")) {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

func TestGenerate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []string{letters, digits, symbols}
		r := Recipe{classes: all[:rapid.IntRange(1, 3).Draw(t, "classes")], length: rapid.IntRange(3, maxPassword).Draw(t, "length")}
		a, err := r.Generate(rand.Reader)
		if err != nil || len(a) != r.length {
			t.Fatalf("%q, %v", a, err)
		}
		for _, c := range r.classes {
			if !strings.ContainsAny(string(a), c) {
				t.Fatalf("%q has none of %s", a, c)
			}
		}
		for _, c := range a {
			if !strings.ContainsRune(strings.Join(r.classes, ""), rune(c)) {
				t.Fatalf("%q has %q", a, c)
			}
		}
	})
	if _, err := (Recipe{[]string{digits}, 8}).Generate(bytes.NewReader([]byte{1, 2})); err == nil {
		t.Error("a password without randomness")
	}
	// Bytes beyond the last whole multiple are drawn again, or low digits would come more often.
	got, err := (Recipe{[]string{digits}, 2}).Generate(bytes.NewReader([]byte{255, 251, 250, 7, 9}))
	if err != nil || string(got) != "79" {
		t.Errorf("%q, %v", got, err)
	}
}
