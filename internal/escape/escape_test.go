package escape

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What people write stays as it is.
func TestEscapeKeeps(t *testing.T) {
	for _, s := range []string{
		"plain text", "naïve café", "日本語", "пример", "x2y", "it's", "don’t — 20 €", "Ünïcödé",
		"cafe\u0301", "Vie\u0323\u0302t Nam Tie\u0302\u0301ng", "ω\u0314\u0342\u0345", "и\u0306", // decomposed
		"हिन्दी में क्षत्रिय", "ภาษาไทยที่นี่", "မြန်မာ မြို့", "தமிழ்", "বাংলা", "བོད་སྐད", "ខ្មែរ", "ລາວ",
		"שָׁלוֹם בְּרֵאשִׁית", "ש\u05c1\u05bc\u05b8\u0591", "مُحَمَّد", "ܐܰܒ\u064e", "か\u3099き\u309a", "각\u1112\u1161\u11ab",
		"Gitを使う", "東京Tokyoタワー", "한국어API키", "用Git提交", "ใช้Gitครับ", "莫斯科Москва", // no spaces between words
		"user_имя", "naïve-наив", "Иван+Ivan@пример.example", "Straße №5", "10 µs", "H₂O", "Ⅷ", "ｗｉｄｅ", "𝐩𝐪", "🔑🧑🏽",
	} {
		if got := Text(s); got != s {
			t.Errorf("%s is shown as %s", s, got)
		}
	}
}

// What hides, moves, breaks the line or imitates does not.
func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[31mred": `a\u{1b}[31mred`, "a\x1b]0;t\x07": `a\u{1b}]0;t\u{7}`, "a\nb\r": `a\u{a}b\u{d}`, "\x00": `\u{0}`, "\u0085\u009b": `\u{85}\u{9b}`,
		"a\u202egnp.exe": `a\u{202e}gnp.exe`, "\u2066x\u2069": `\u{2066}x\u{2069}`, "\u061c\u200e": `\u{61c}\u{200e}`,
		"a\u200bb\u2060": `a\u{200b}b\u{2060}`, "\ufeff\u00ad\u200d": `\u{feff}\u{ad}\u{200d}`, "\u2028\u2029": `\u{2028}\u{2029}`,
		"a\U000e0041": `a\u{e0041}`, "x\ufe0f\U000e0100": `x\u{fe0f}\u{e0100}`, "\ue000\U0010fffd": `\u{e000}\u{10fffd}`,
		"a\u00a0b\u3000": `a\u{a0}b\u{3000}`, "a\xffb": `a\x{ff}b`, "\xed\xa0\x80": `\x{ed}\x{a0}\x{80}`, "\u0378": `\u{378}`,
		"\u3164\u2800\u115f": `\u{3164}\u{2800}\u{115f}`, "a\u034fb": `a\u{34f}b`, "ក\u17b4": `ក\u{17b4}`, "\U00016fe4\U00013441\U0001d159": `\u{16fe4}\u{13441}\u{1d159}`,

		"\u0301a": `\u{301}a`, "1\u0301": `1\u{301}`, "a \u0301": `a \u{301}`, "=\u0338": `=\u{338}`, // no letter to stand on
		"a\u20dd": `a\u{20dd}`, "я\u0488": `я\u{488}`, // encloses
		"a\u0301\u0302\u0303\u0304\u0305\u0306": "a\u0301\u0302\u0303\u0304" + `\u{305}\u{306}`,
		"a\u0e48":                               `a\u{e48}`, "a\u064e": `a\u{64e}`, "क\u064e": `क\u{64e}`, "a\u0951": `a\u{951}`, "a\u3099": `a\u{3099}`, "ש\u0e48\u05b8": `ש\u{e48}\u{5b8}`,

		"p\u0430ypal": `p\u{430}ypal`, "рауpal": `рау\u{70}\u{61}\u{6c}`, "раураl": `раура\u{6c}`, "gοοgle": `g\u{3bf}\u{3bf}gle`, "Αpple": `\u{391}pple`,
		"ՍSА": `Ս\u{53}\u{410}`, "Ꭺpple": `\u{13aa}pple`, "аb": `а\u{62}`, "p\u0430\u0301y": `p\u{430}\u{301}y`, "абвγ": `абв\u{3b3}`,
		"x2\u0430x": `x2\u{430}x`, "日本pаy": `日本p\u{430}y`, "paypa\u217c": `paypa\u{217c}`, "p𝐚y": `p\u{1d41a}y`, "pａy": `p\u{ff41}y`, "a४": `a\u{96a}`,
		"\xffпривет": `\x{ff}привет`,
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%+q) = %s, want %s", in, got, want)
		}
	}
}

var escaped = regexp.MustCompile(`\\[ux]\{[0-9a-f]+\}`)

// checkShown says what is wrong with how a text is shown; it looks at what came out alone.
func checkShown(t *testing.T, s string) {
	t.Helper()
	got := Text(s)
	switch {
	case Text(got) != got:
		t.Errorf("%+q is shown as %s, and that as %s", s, got, Text(got))
	case len(got) > 6*len(s) || !utf8.ValidString(got):
		t.Errorf("%+q: %d bytes of %d", s, len(got), len(s))
	}
	marks, letter := 0, false
	for _, r := range got {
		if r != ' ' && (!unicode.IsGraphic(r) || unicode.In(r, unicode.C, unicode.Z, unicode.Me, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)) {
			t.Errorf("%+q shows %U", s, r)
		}
		if !unicode.Is(unicode.M, r) {
			marks, letter = 0, unicode.IsLetter(r)
		} else if marks++; !letter || marks > 4 {
			t.Errorf("%+q shows mark %d, %U", s, marks, r)
		}
	}
	for _, word := range strings.FieldsFunc(got, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) }) {
		var seen []string
		for _, name := range []string{"Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Hebrew", "Arabic", "Devanagari"} {
			if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) && unicode.Is(unicode.Scripts[name], r) }) {
				seen = append(seen, name)
			}
		}
		if len(seen) > 1 {
			t.Errorf("%+q shows %s, of %s", s, word, seen)
		}
	}
	if plain := escaped.ReplaceAllString(got, ""); !strings.Contains(s, `\`) && slices.ContainsFunc([]rune(plain), func(r rune) bool { return !strings.ContainsRune(s, r) }) {
		t.Errorf("%+q is shown as %s", s, got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "p\u0430ypal", "\xffпривет\xd0", "a\u0301\u0302\u0303\u0304\u0305", "ש\u0e48\u05b8", `\u{430}а\x`, "\u202e\x1b[2J\ue000\U000e0041\ufe0f", "кाक1ा", "ΩΩΩ東Ωa𝐩Ⅷ"} {
		f.Add(s)
	}
	f.Fuzz(checkShown)
}

// Every character alone, and letters, marks and digits of all scripts behind others.
func TestEscapeEveryCharacter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if got := Text(string(r)); got != string(r) && !escaped.MatchString(got) {
			t.Errorf("%U is shown as %q", r, got)
		}
		if !unicode.In(r, unicode.L, unicode.M, unicode.N) || r%64 != 0 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Tangut) {
			continue
		}
		for _, before := range []string{"", "ab", "क"} {
			checkShown(t, before+string(r)+"a")
		}
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"https://api.example": "https://api.example", "https://api.example:8443/v1?token=abc#x": "https://api.example:8443", "api.example/login": "api.example",
		"https://good.example@evil.example/": "https://evil.example", `https://good.example\@evil.example/`: `https://good.example\@evil.example`,
		"https://p\u0430ypal.example/": `https://p\u{430}ypal.example`, "https://пример.example": `https://\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.example`,
		"https://xn--e1afmkfd.example": "https://xn--e1afmkfd.example", "https://a.example\u202e/": `https://a.example\u{202e}`, "https://a。example": `https://a\u{3002}example`,
		"https:/evil.example/": "https://evil.example", `https:\evil.example/x`: "https://evil.example", "https:///evil.example": "https://evil.example",
		"evil.example/?token=abc&u=https://good.example": "evil.example", "me:abc@evil.example/://good.example": "evil.example", "good.example:443": "good.example:443",
		"javascript:alert(1)": "javascript:alert(1)", "HTTPS://[::1]:8443/": "HTTPS://[::1]:8443", "https://good.example@": "https://",
		"two words": `two\u{20}words`, "": "", "https://": "https://", "app://\xff": `app://\u{fffd}`,
	} {
		if got := Addresses([]string{in, in}); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Addresses([]string{"https://b", "https://a/1", "http://b", "https://a/2"}); got != "https://b https://a http://b" {
		t.Error(got)
	}
	if got := Address("\u0430.example/?u=https://good.example"); got != "\\u{430}.example/?u=https://good.example" {
		t.Error(got)
	}
	if got := Address("https://me@\u0430.example/\u0430?\u0430"); got != "https://me@\\u{430}.example/\u0430?\u0430" {
		t.Error(got)
	}
}
