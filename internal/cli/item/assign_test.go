package item

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
)

func TestParseAssignment(t *testing.T) {
	tests := []struct {
		in   string
		want assignment
		bad  bool
	}{
		{in: "username=ada", want: assignment{field: "username", value: "ada", set: true}},
		{in: "token=a=b.c[d]", want: assignment{field: "token", value: "a=b.c[d]", set: true}},
		{in: `v=a\b`, want: assignment{field: "v", value: `a\b`, set: true}},
		{in: "v=", want: assignment{field: "v", set: true}},
		{in: "db.host[text]=x", want: assignment{section: "db", field: "host", typ: "STRING", value: "x", set: true}},
		{in: "a[concealed]=x", want: assignment{field: "a", typ: "CONCEALED", value: "x", set: true}},
		{in: "a[monthYear]=202601", want: assignment{field: "a", typ: "MONTH_YEAR", value: "202601", set: true}},
		{in: "a[otp]=x", want: assignment{field: "a", typ: "OTP", value: "x", set: true}},
		{in: "a[email]", want: assignment{field: "a", typ: "EMAIL"}},
		{in: "s.a[delete]", want: assignment{section: "s", field: "a", remove: true}},
		{in: `my\.section.user\=name=x`, want: assignment{section: "my.section", field: "user=name", value: "x", set: true}},
		{in: `a\\b=x`, want: assignment{field: `a\b`, value: "x", set: true}},
		{in: `a\[b\]=x`, want: assignment{field: "a[b]", value: "x", set: true}},
		{in: "", bad: true},
		{in: "a", bad: true},
		{in: "=x", bad: true},
		{in: ".a=x", bad: true},
		{in: "a.=x", bad: true},
		{in: "a.b.c=x", bad: true},
		{in: "a[text=x", bad: true},
		{in: "a[nonsense]=x", bad: true},
		{in: "a[delete]=x", bad: true},
		{in: "a[file]=x", want: assignment{field: "a", typ: "FILE", value: "x", set: true}},
		{in: "[file]=/d/key.pem", want: assignment{field: "key.pem", typ: "FILE", value: "/d/key.pem", set: true}},
		{in: "s.[file]=x", bad: true},
		{in: "[text]=x", bad: true},
		{in: "a[text]x", bad: true},
		{in: `a\n=x`, bad: true},
		{in: `a\`, bad: true},
	}
	for _, tt := range tests {
		got, err := parseAssignment(tt.in)
		if (err != nil) != tt.bad {
			t.Errorf("%q: error %v", tt.in, err)
			continue
		}
		if err == nil {
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(assignment{})); diff != "" {
				t.Errorf("%q: %s", tt.in, diff)
			}
		}
	}
}

// Whatever is typed, an error shows nothing of what stands behind the "=".
func FuzzParseAssignment(f *testing.F) {
	for _, s := range []string{"a=b", "a.b[text]=c", `a\.b=c`, "a[delete]", "[", "a[x]=SECRET", "a.b.c=SECRET"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		const secret = "SECRETVALUE"
		if strings.Contains(name, "[") && strings.Contains(name, `\`) || strings.Contains(name, secret) {
			return
		}
		a, err := parseAssignment(name + "=" + secret)
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", name, err)
		}
		if err == nil && (a.field == "" || !a.set && !a.remove && a.typ == "") {
			t.Errorf("%q: %+v", name, a)
		}
	})
}

func TestFields(t *testing.T) {
	old := &api.Item{Fields: []api.Field{
		{ID: "f1", Label: "token", Type: "CONCEALED", Concealed: true},
		{ID: "f2", Section: "db", Label: "host", Type: "STRING"},
		{ID: "f3", Section: "a", Label: "port", Type: "STRING"},
		{ID: "f4", Section: "b", Label: "port", Type: "STRING"},
	}}
	tests := []struct {
		name    string
		args    []string
		old     *api.Item
		want    []api.Field
		values  []string
		literal bool
		bad     bool
	}{
		{name: "built-in fields need no type", args: []string{"username=ada", "password=pw"},
			want: []api.Field{
				{Label: "username", Type: "STRING", Purpose: "USERNAME", Value: true},
				{Label: "password", Type: "CONCEALED", Purpose: "PASSWORD", Concealed: true, Value: true}},
			values: []string{"ada", "pw"}, literal: true},
		{name: "a new field is a password", args: []string{"x=1"},
			want:   []api.Field{{Label: "x", Type: "CONCEALED", Concealed: true, Value: true}},
			values: []string{"1"}, literal: true},
		{name: "a one-time password's seed is a secret", args: []string{"x[otp]=1"},
			want:   []api.Field{{Label: "x", Type: "OTP", Concealed: true, Value: true}},
			values: []string{"1"}, literal: true},
		{name: "text is not", args: []string{"x[text]=1"},
			want: []api.Field{{Label: "x", Type: "STRING", Value: true}}, values: []string{"1"}},
		{name: "an edit keeps the type", old: old, args: []string{"db.host=h", "token=t"},
			want: []api.Field{
				{ID: "f2", Section: "db", Label: "host", Type: "STRING", Value: true},
				{ID: "f1", Label: "token", Type: "CONCEALED", Concealed: true, Value: true}},
			values: []string{"h", "t"}, literal: true},
		{name: "an only section may be left out", old: old, args: []string{"host=h"},
			want: []api.Field{{ID: "f2", Section: "db", Label: "host", Type: "STRING", Value: true}}, values: []string{"h"}},
		{name: "delete", old: old, args: []string{"token[delete]"},
			want: []api.Field{{ID: "f1", Label: "token", Type: "CONCEALED", Concealed: true, Delete: true}}},
		{name: "ambiguous", old: old, args: []string{"port=1"}, bad: true},
		{name: "twice", args: []string{"x=1", "x=2"}, bad: true},
		{name: "delete what is not there", old: old, args: []string{"nope[delete]"}, bad: true},
		{name: "type of what is not there", args: []string{"nope[text]"}, bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, values, literal, err := fields(tt.args, tt.old, nil)
			if (err != nil) != tt.bad {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			var text []string
			for _, v := range values {
				text = append(text, string(v))
			}
			if diff := cmp.Diff(tt.values, text); diff != "" || literal != tt.literal {
				t.Error(diff, literal)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	got, err := target("op://team/github/api/token")
	want := api.ItemPut{Mode: "set", Vault: "team", Item: "github",
		Fields: []api.Field{{Section: "api", Label: "token", Type: "CONCEALED", Concealed: true, Value: true}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"", "work/github/token", "op://a/b", "op://a/b/c/d/e", "op://a//c", "op://a/b/c?attribute=otp", "op://a/b/c[d]"} {
		if _, err := target(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestCategoryID(t *testing.T) {
	for in, want := range map[string]string{"Login": "LOGIN", "API Credential": "API_CREDENTIAL",
		"apicredential": "API_CREDENTIAL", "ssh key": "SSH_KEY", "SECURE_NOTE": "SECURE_NOTE", "My Own": "MY_OWN"} {
		if got := categoryID(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSelector(t *testing.T) {
	it := api.Item{ID: "i", Fields: []api.Field{
		{ID: "username", Label: "username", Type: "STRING"},
		{ID: "x1", Section: "s", Label: "token", Type: "CONCEALED"},
		{ID: "password", Label: "password", Type: "CONCEALED"}}}
	tests := []struct {
		in   string
		want []int
		bad  bool
	}{
		{in: "label=password,label=username", want: []int{2, 0}},
		{in: "username, s.token", want: []int{0, 1}},
		{in: "x1", want: []int{1}},
		{in: "type=concealed", want: []int{1, 2}},
		{in: "type=otp"},
		{in: "label=nope", bad: true},
		{in: "label=", bad: true},
		{in: "a,,b", bad: true},
	}
	for _, tt := range tests {
		sel, err := parseSelector(tt.in)
		var got []int
		if err == nil {
			got, err = sel.pick(it)
		}
		if (err != nil) != tt.bad {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.in, diff)
		}
	}
}
