package item

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
)

func TestExpiry(t *testing.T) {
	now := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]int64{
		"90d": now.Add(90 * 24 * time.Hour).UnixMilli(), "2w": now.Add(14 * 24 * time.Hour).UnixMilli(), "36h": now.Add(36 * time.Hour).UnixMilli(),
		"never": 0, "2028-02-29": time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC).UnixMilli(),
	} {
		got, err := expiry(s, now)
		if err != nil || got == nil || *got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	if got, err := expiry("", now); got != nil || err != nil {
		t.Errorf("no statement: %v, %v", got, err)
	}
	for _, bad := range []string{"soon", "-3d", "2027-02-30", "1000000d", "d"} {
		if _, err := expiry(bad, now); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestFilter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	it := api.Item{Tags: []string{"prod/eu"}, Category: "LOGIN", Expires: now.Add(48 * time.Hour).UnixMilli()}
	for _, c := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true}, {Filter{Tags: []string{"prod"}}, true}, {Filter{Tags: []string{"PROD/EU"}}, true}, {Filter{Tags: []string{"pro"}}, false},
		{Filter{Categories: []string{"login"}}, true}, {Filter{Categories: []string{"Server"}}, false}, {Filter{Pending: true}, false},
		{Filter{Stale: "0d"}, false}, {Filter{Stale: "3d"}, true}, {Filter{Stale: "3d", Tags: []string{"x"}}, false},
	} {
		ok, err := c.f.chooser(now)
		if err != nil || ok(it) != c.want {
			t.Errorf("%+v: %v", c.f, err)
		}
	}
	if ok, _ := (Filter{Stale: "9999d"}).chooser(now); ok(api.Item{}) {
		t.Error("what never expires is stale")
	}
	if _, err := (Filter{Stale: "x"}).chooser(now); err == nil {
		t.Error("a wrong duration was accepted")
	}
}

func TestTemplate(t *testing.T) {
	const text = `{"title":"db","category":"DATABASE","extra":1,"fields":[
		{"id":"username","type":"STRING","purpose":"USERNAME","label":"username","value":"ada"},
		{"id":"password","type":"CONCEALED","purpose":"PASSWORD","label":"password","value":""},
		{"id":"x1","section":{"id":"s","label":"More"},"type":"CONCEALED","label":"pin","value":"1234"},
		{"id":"only-id","type":"URL","value":"https://e"}]}`
	tpl, err := parseTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	fs, values := tpl.fields()
	want := []api.Field{
		{Label: "username", Type: "STRING", Purpose: "USERNAME", Value: true},
		{Section: "More", Label: "pin", Type: "CONCEALED", Concealed: true, Value: true},
		{Label: "only-id", Type: "URL", Value: true},
	}
	if diff := cmp.Diff(want, fs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]byte{[]byte("ada"), []byte("1234"), []byte("https://e")}, values); diff != "" {
		t.Error(diff)
	}
	fs, values = merge(fs, values, []api.Field{{Label: "Pin", Section: "more", Type: "CONCEALED", Concealed: true, Value: true}}, [][]byte{[]byte("9")})
	if len(fs) != 3 || string(values[2]) != "9" || len(values) != 3 {
		t.Errorf("an assignment does not beat the template: %+v %q", fs, values)
	}
	for _, bad := range []string{"", "[]", `{"title":"secret-value-here"`, `{} {}`, `{"fields":"x"}`} {
		if _, err := parseTemplate([]byte(bad)); err == nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestTemplateStaysConcealed: no type that a template gives, or leaves out, writes
// a secret down in plain.
func TestTemplateStaysConcealed(t *testing.T) {
	for _, typ := range []string{"", "STRING", "password", "concealed", "CREDIT_CARD_NUMBER", "nonsense"} {
		tpl := template{Fields: []templateField{{Label: "Token", Section: &shape.Section{Label: "API"}, Type: typ, Value: "v"}}}
		old := api.Item{Fields: []api.Field{{Section: "api", Label: "token", Type: "CONCEALED", Concealed: true}}}
		fs, _ := tpl.fields()
		if want := typ != "STRING" && typ != "nonsense"; fs[0].Concealed != want {
			t.Errorf("%q: concealed %v in a new item", typ, fs[0].Concealed)
		}
		if keepConcealed(fs, &old); !fs[0].Concealed || fs[0].Type != "CONCEALED" {
			t.Errorf("%q: %+v in an item that conceals it", typ, fs[0])
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"title":"t","fields":[{"id":"a","value":"b"}]}`))
	f.Add([]byte(`{"fields":[{"section":{},"label":"x","type":"otp","value":"v"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tpl, err := parseTemplate(b)
		if err != nil {
			return
		}
		fs, values := tpl.fields()
		n := 0
		for _, f := range fs {
			if f.Value {
				n++
			}
			if f.Label == "" || f.Type == "" {
				t.Errorf("a field without name or type: %+v", f)
			}
		}
		if n != len(values) {
			t.Errorf("%d fields with a value, %d values", n, len(values))
		}
	})
}
