package ref

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const someID = "hu4vwo3bjkawq2uw2fkn5pkjzu"

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want Ref
	}{
		{"op://dev/Stripe/credential", Ref{Vault: "dev", Item: "Stripe", Field: "credential"}},
		{"op://dev/db/prod/password", Ref{Vault: "dev", Item: "db", Section: "prod", Field: "password"}},
		{"op://Management/PagerDuty/add more/" + someID,
			Ref{Vault: "Management", Item: "PagerDuty", Section: "add more", Field: someID}},
		{"op://My Vault/a.b_c-d/notesPlain", Ref{Vault: "My Vault", Item: "a.b_c-d", Field: "notesPlain"}},
		{"op://v/i/one-time password?attribute=otp", Ref{Vault: "v", Item: "i", Field: "one-time password", Query: QueryOTP}},
		{"op://v/i/private key?ssh-format=openssh", Ref{Vault: "v", Item: "i", Field: "private key", Query: QueryOpenSSH}},
		{"op://v/i/cert.pem?attribute=size", Ref{Vault: "v", Item: "i", Field: "cert.pem", Query: QuerySize}},
		{"op://IT%2FDev/For Chang%27s Claude/b%C3%BCro", Ref{Vault: "IT/Dev", Item: "For Chang's Claude", Field: "büro"}},
		{"op://v/%20i%20/100%25", Ref{Vault: "v", Item: " i ", Field: "100%"}},
		{"op://v/%20/x", Ref{Vault: "v", Item: " ", Field: "x"}},
		{"op://./../...", Ref{Vault: ".", Item: "..", Field: "..."}},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.in, diff)
		}
		if s := got.String(); s != tt.in {
			t.Errorf("Parse(%q).String() = %q", tt.in, s)
		}
	}
}

func TestParseOtherSpellings(t *testing.T) {
	for in, want := range map[string]string{
		"op://v/i/f?attr=otp":           "op://v/i/f?attribute=otp",
		"op://v/i/f?ATTR=Type":          "op://v/i/f?attribute=type",
		"OP://V/i/f":                    "op://V/i/f",
		"op://a%2fb/i/f":                "op://a%2Fb/i/f",
		"op://v/i/f?SSH-format=OpenSSH": "op://v/i/f?ssh-format=openssh",
	} {
		r, err := Parse(in)
		if err != nil || r.String() != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, r, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		in   string
		kind Kind
		pos  int
	}{
		{"", NotRef, 0},
		{"hunter2", NotRef, 0},
		{"op:/v/i/f", NotRef, 0},
		{" op://v/i/f", NotRef, 0},
		{"op://", TooFew, 5},
		{"op://X/Y", TooFew, 8},
		{"op://X/Y?attr=otp", TooFew, 8},
		{"op://a/b/c/d/e", TooMany, 12},
		{"op://IT/Dev/i/s/f/g", TooMany, 15},
		{"op:///i/f", EmptyPart, 5},
		{"op://v//f", EmptyPart, 7},
		{"op://v/i/", EmptyPart, 9},
		{"op://v/i//f", EmptyPart, 9},
		{`op://v/a\b/f`, BadChar, 8},
		{"op://v/a(b/f", BadChar, 8},
		{"op://v/a)b/f", BadChar, 8},
		{"op://v/it's/f", BadChar, 9},
		{"op://v/a&b/f", BadChar, 8},
		{"op://v/a@b/f", BadChar, 8},
		{"op://v/a:b/f", BadChar, 8},
		{"op://v/é/f", BadChar, 7},
		{"op://v/a\tb/f", BadChar, 8},
		{"op://v/i/f\n", BadChar, 10},
		{"op://v/$X/f", BadChar, 7},
		{"op://v/ i/f", BadChar, 7},
		{"op://v/i /f", BadChar, 8},
		{"op://v/i/f ", BadChar, 10},
		{"op://v/i/%", BadEscape, 9},
		{"op://v/i/%2", BadEscape, 9},
		{"op://v/i/%zz", BadEscape, 9},
		{"op://v/i/%FF", BadEscape, 9},
		{"op://v/i/f?", BadQuery, 11},
		{"op://v/i/f?attribute", BadQuery, 11},
		{"op://v/i/f?attribute=", BadQuery, 11},
		{"op://v/i/f?attribute=secret", BadQuery, 11},
		{"op://v/i/f?ssh-format=pem", BadQuery, 11},
		{"op://v/i/f?attribute=otp&attribute=otp", BadQuery, 11},
		{"op://v/i/f?attribute=otp?", BadQuery, 11},
	}
	for _, tt := range tests {
		r, err := Parse(tt.in)
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("Parse(%q) = %v, %v; want *Error", tt.in, r, err)
			continue
		}
		if bad.Kind != tt.kind || bad.Pos != tt.pos {
			t.Errorf("Parse(%q): kind %s at %d; want %s at %d", tt.in, bad.Kind, bad.Pos, tt.kind, tt.pos)
		}
	}
}

func TestErrorWording(t *testing.T) {
	for in, want := range map[string]string{
		"op://X/Y":       "invalid secret reference 'op://X/Y': too few '/': secret references should have at least vault, item and field specified",
		"op://a/b/c/d/e": "invalid secret reference 'op://a/b/c/d/e': too many '/': secret references should match op://<vault>/<item>[/<section>]/<field>",
		`op://a\b/c/d`:   `invalid secret reference 'op://a\b/c/d': invalid character in secret reference: '\'`,
		"hunter2":        `secret reference is not prefixed with "op://"`,
	} {
		if _, err := Parse(in); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v\nwant %s", in, err, want)
		}
	}
	_, err := Parse("op://a/\x1b[2J/c" + strings.Repeat("x", 10_000))
	if s := err.Error(); strings.Contains(s, "\x1b") || len(s) > 1000 {
		t.Errorf("unsafe or long message: %q", s)
	}
	var bad *Error
	if _, err := Parse("op://v/é/f"); !errors.As(err, &bad) || !strings.Contains(bad.Hint, "%C3%A9") {
		t.Errorf("hint = %v", bad)
	}
}

func TestIsIDAndIsRef(t *testing.T) {
	for s, want := range map[string]bool{
		someID: true, "": false, someID[1:]: false, someID + "a": false,
		strings.ToUpper(someID): false, "hu4vwo3bjkawq2uw2fkn5pkjz-": false,
	} {
		if IsID(s) != want {
			t.Errorf("IsID(%q) = %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"op://": true, "OP://x": true, "op:/": false, " op://": false, "": false} {
		if IsRef(s) != want {
			t.Errorf("IsRef(%q) = %v", s, !want)
		}
	}
}

func TestEqual(t *testing.T) {
	a := Ref{Vault: "Dev", Item: "ÜBER", Section: "S", Field: "F", Query: QueryOTP}
	if !a.Equal(Ref{Vault: "dev", Item: "über", Section: "s", Field: "f", Query: QueryOTP}) {
		t.Error("case must not matter")
	}
	for _, b := range []Ref{{}, {Vault: "Dev", Item: "ÜBER", Field: "F", Query: QueryOTP},
		{Vault: "Dev", Item: "ÜBER", Section: "S", Field: "F"}} {
		if a.Equal(b) {
			t.Errorf("%v equals %v", a, b)
		}
	}
	if QueryOTP.Attribute() != "otp" || QueryOpenSSH.Attribute() != "" || Query("").Attribute() != "" {
		t.Error("Attribute")
	}
}

func drawRef(t *rapid.T) Ref {
	part := rapid.OneOf(rapid.StringN(1, 12, -1), rapid.StringMatching(`[ -~]{1,12}`))
	return Ref{
		Vault:   part.Draw(t, "vault"),
		Item:    part.Draw(t, "item"),
		Section: rapid.OneOf(rapid.Just(""), part).Draw(t, "section"),
		Field:   part.Draw(t, "field"),
		Query:   rapid.SampledFrom([]Query{"", QueryOTP, QueryType, QueryOpenSSH, QueryName}).Draw(t, "query"),
	}
}

func TestPrintThenParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRef(t)
		got, err := Parse(r.String())
		if err != nil || got != r {
			t.Fatalf("Parse(%q) = %#v, %v; want %#v", r.String(), got, err, r)
		}
	})
}

// checkCanonical holds for every accepted text: it is the printed form but for
// letter case and the alias attr.
func checkCanonical(t interface{ Fatalf(string, ...any) }, s string) {
	r, err := Parse(s)
	if err != nil {
		return
	}
	printed := r.String()
	if again, err := Parse(printed); err != nil || again != r {
		t.Fatalf("%q prints as %q, which reads as %v, %v", s, printed, again, err)
	}
	path, query, asked := strings.Cut(s, "?")
	if asked && strings.EqualFold(query[:5], "attr=") {
		s = path + "?attribute=" + query[5:]
	}
	if !strings.EqualFold(s, printed) {
		t.Fatalf("%q and %q are two spellings of one reference", s, printed)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"op://a/b/c", "op://a/b/s/c?attr=otp", "op://a%2Fb/%20/c d", "op://a/b", "x", "op://v/i/f?ssh-format=openssh"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkCanonical(t, s) })
}

func TestSuggest(t *testing.T) {
	names := []string{"Stripe", "GitHub", "password", "username", "AWS"}
	for in, want := range map[string]string{
		"Strpe": "Stripe", "stripe": "Stripe", "passwrod": "password", "user name": "username",
		"asw": "AWS", "wsa": "", "aws": "AWS", "awss": "AWS", "": "", "x": "", "postgres": "", "sawwrodp": "", "apsswodr": "password", strings.Repeat("a", 500): "",
	} {
		if got := Suggest(in, names); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Suggest("abcd", []string{"", "abcx", "abcy"}); got != "abcx" {
		t.Errorf("first of equals: %q", got)
	}
	if got := Suggest("abcdef", []string{"abcdxy", "abcdex"}); got != "abcdex" {
		t.Errorf("nearest: %q", got)
	}
}

// What other makers' encoders write is read, and printed in the one spelling.
func TestNeedlessEscapes(t *testing.T) {
	for in, want := range map[string]string{"op://v/i/a%41": "op://v/i/aA", "op://v/i/a%20b": "op://v/i/a b",
		"op://dev/a%2Fb%20%28prod%29/username": "op://dev/a%2Fb %28prod%29/username", "op://v/i/%20a": "op://v/i/%20a"} {
		r, err := Parse(in)
		if err != nil || r.String() != want {
			t.Errorf("%s: %s, %v", in, r, err)
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Errorf("%s does not come back: %v", r, err)
		}
	}
}
