package initialize

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWordList(t *testing.T) {
	words := strings.Fields(wordList)
	if len(words) != wordCount {
		t.Fatalf("%d words", len(words))
	}
	if !slices.IsSorted(words) || len(slices.Compact(slices.Clone(words))) != wordCount {
		t.Error("words are not sorted, or some stand twice")
	}
	for _, w := range words {
		if len(w) < 3 || len(w) > 8 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q", w)
		}
	}
}

func TestSuggest(t *testing.T) {
	a, err := Suggest(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Suggest(rand.Reader)
	if err != nil || a == b || len(strings.Split(a, "-")) != 6 {
		t.Error(a, b, err)
	}
	if _, err := Suggest(bytes.NewReader(nil)); err == nil {
		t.Error("a suggestion without randomness")
	}
	// The two ends of the list can be drawn.
	words := strings.Fields(wordList)
	got, err := Suggest(bytes.NewReader([]byte{0, 0, 7, 0xff, 0xff, 0xff, 0, 1, 0, 2, 0, 3}))
	want := strings.Join([]string{words[0], words[2047], words[2047], words[1], words[2], words[3]}, "-")
	if err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// No suggestion is ever refused.
func TestSuggestionsAreNotWeak(t *testing.T) {
	for range 2000 {
		s, err := Suggest(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if why := Weak([]byte(s), nil); why != "" {
			t.Errorf("%q %s", s, why)
		}
	}
}

func TestWeak(t *testing.T) {
	tests := []struct {
		in, other string
		ok        bool
	}{
		{in: "short"},
		{in: "elevenchars"},
		{in: "aaaaaaaaaaaaaaaaaaaaaaaa"},
		{in: "abcabcabcabcabcabcabcabc"},
		{in: "123456789012345678901234567890"},
		{in: "password1234"},
		{in: "Password1234!"},
		{in: "qwertyqwertyqwerty"},
		{in: "thumbturnthumbturn"},
		{in: "            "},
		{in: "\xff\xfe not valid text at all, is it"},
		{in: "correct horse battery staple", ok: true},
		{in: "x7#Kq9!mZ2pL", ok: true},
		{in: "correct horse battery staple", other: "Correct Horse Battery Staple "},
		{in: "correct horse battery staple", other: "another one entirely", ok: true},
		{in: "zwölf Boxkämpfer jagen Viktor", ok: true},
	}
	for _, tt := range tests {
		if why := Weak([]byte(tt.in), []byte(tt.other)); (why == "") != tt.ok {
			t.Errorf("%q: %q (%.1f bits)", tt.in, why, bits([]byte(tt.in)))
		}
	}
}

func TestCodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SliceOfN(rapid.Byte(), codeLen, codeLen).Draw(t, "code")
		text := FormatCode(code)
		got, err := ParseCode(text)
		if err != nil || !bytes.Equal(got, code) {
			t.Fatalf("%q: %x, %v", text, got, err)
		}
		loose := strings.NewReplacer("-", " ", "0", "O", "1", "l").Replace(strings.ToUpper(string(text)))
		if got, err = ParseCode([]byte(loose)); err != nil || !bytes.Equal(got, code) {
			t.Fatalf("%q: %x, %v", loose, got, err)
		}
	})
}

func TestCodeForm(t *testing.T) {
	text := string(FormatCode(make([]byte, codeLen)))
	if !strings.HasPrefix(text, "0000-0000-0000-0000-0000-0000-0000-0000-") || len(text) != 42 {
		t.Errorf("%q", text)
	}
	for _, bad := range []string{"", "0000", text + "0", text[:41], "u" + text[1:], "1" + text[1:]} {
		if _, err := ParseCode([]byte(bad)); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add(FormatCode(make([]byte, codeLen)))
	f.Add([]byte("not a code"))
	f.Fuzz(func(t *testing.T, b []byte) {
		code, err := ParseCode(b)
		if err != nil {
			return
		}
		again, err := ParseCode(FormatCode(code))
		if err != nil || !bytes.Equal(code, again) {
			t.Errorf("%q: %x then %x, %v", b, code, again, err)
		}
	})
}
