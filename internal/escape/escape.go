// Package escape makes text from outside safe to show: nothing in it is invisible,
// reorders a line, or imitates letters of another script.
package escape

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// marksOnALetter is how many combining marks stay on one letter. Vietnamese has 2,
// polytonic Greek and Hindi 3, Burmese and pointed Hebrew 4; more is a tower over the
// lines beside.
const marksOnALetter = 4

// Text makes text from outside safe to show on a line of its own. It becomes \u{…},
// and invalid bytes \x{…}, what is invisible, reorders or breaks the line, or stands
// on no letter of its own kind; and of a word in letters of several scripts, those of
// all but one (spec/request.md §5). Whole words of every script stay as they are.
// Escaping twice is escaping once.
func Text(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	var b strings.Builder
	known := scripts{}
	for i := 0; i < len(s); {
		end := i
		for end < len(s) {
			r, n := utf8.DecodeRuneInString(s[end:])
			if !inWord(r) {
				break
			}
			end += n
		}
		if end > i {
			escapeWord(&b, s[i:end], known)
			i = end
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x{%02x}`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !hidden(r):
			b.WriteRune(r)
		default:
			escapeRune(&b, r)
		}
		i += n
	}
	return b.String()
}

func escapeRune(b *strings.Builder, r rune) { fmt.Fprintf(b, `\u{%x}`, r) }

// hidden lists what is graphic by Unicode's letter and yet invisible or able to
// reorder the line.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r != ' ' && unicode.Is(unicode.Zs, r) || slices.Contains([]rune{0x2800, 0x13441, 0x13442, 0x16fe4, 0x1d159}, r)
}

// inWord reports whether a character is one that words are made of.
func inWord(r rune) bool { return unicode.In(r, unicode.L, unicode.M, unicode.N) && !hidden(r) }

// escapeWord writes a word: its letters of one script, the one that most of them are
// of, or the first of several; and the marks that fit the letters they stand on.
func escapeWord(b *strings.Builder, word string, known scripts) {
	var order []string
	count, keep := map[string]int{}, ""
	for _, r := range word {
		name := known.of(r)
		if !apart(r, name) {
			continue
		}
		if count[name]++; count[name] == 1 {
			order = append(order, name)
		}
	}
	for _, name := range order {
		if keep == "" || count[name] > count[keep] {
			keep = name
		}
	}
	base, marks := "", 0 // the script of the letter that marks now stand on
	for _, r := range word {
		name := known.of(r)
		switch mark := unicode.Is(unicode.M, r); {
		case mark && base != "" && marks < marksOnALetter && fits(r, name, base):
			marks++
			b.WriteRune(r)
		case mark || apart(r, name) && name != keep:
			base = ""
			escapeRune(b, r)
		default:
			if base, marks = "", 0; unicode.IsLetter(r) {
				base = name
			}
			b.WriteRune(r)
		}
	}
}

// styled is the name of letters that are made to look like Latin ones, as if they were
// a script.
const styled = "styled"

// scripts are those of the characters of a text, as far as it was read: to look for one
// takes a walk through all.
type scripts map[rune]string

func (k scripts) of(r rune) string {
	switch {
	case r < 0x80 && unicode.IsLetter(r):
		return "Latin"
	case r < 0x80:
		return "Common"
	case r >= 0x2100 && r <= 0x2188, r >= 0xff21 && r <= 0xff5a, r >= 0x1d400 && r <= 0x1d7ff: // letterlike, Roman numerals; wide; mathematical
		return styled
	}
	name, ok := k[r]
	if !ok {
		name = "Unknown"
		for of, table := range unicode.Scripts { // no character is in two
			if unicode.Is(table, r) {
				name = of
				break
			}
		}
		k[r] = name
	}
	return name
}

// apart reports whether a character stands in a word only with others of its script.
// Digits and such are of none, and what is written without spaces between words has
// words of any script as neighbours.
func apart(r rune, script string) bool {
	switch script {
	case "Common", "Inherited", "Han", "Hiragana", "Katakana", "Bopomofo", "Hangul", "Thai", "Lao", "Khmer", "Myanmar":
		return false
	}
	return !unicode.Is(unicode.M, r) // a mark goes with its letter
}

// shared lists the marks that several scripts have in common, with their scripts;
// without any, they go with letters of each.
var shared = []struct {
	from, to rune
	scripts  string
}{
	{0x300, 0x36f, ""}, {0x485, 0x486, "Cyrillic"}, {0x64b, 0x670, "Arabic Syriac"},
	{0x951, 0x954, indic}, {0x1ab0, 0x1aff, ""}, {0x1cd0, 0x1cff, indic}, {0x1dc0, 0x1dff, ""},
	{0x20d0, 0x20ff, ""}, {0x302a, 0x302d, "Bopomofo Han"}, {0x3099, 0x309a, "Hiragana Katakana"}, {0xfe20, 0xfe2f, ""},
}

const indic = "Bengali Devanagari Grantha Gujarati Gurmukhi Kannada Malayalam Oriya Tamil Telugu"

// fits reports whether a mark may stand on a letter, by their scripts. Those that
// enclose what they stand on are of no language.
func fits(mark rune, its, base string) bool {
	switch {
	case unicode.Is(unicode.Me, mark):
		return false
	case its != "Inherited" && its != "Common":
		return its == base
	}
	for _, s := range shared {
		if mark >= s.from && mark <= s.to {
			return s.scripts == "" || slices.Contains(strings.Fields(s.scripts), base)
		}
	}
	return false
}

// Addresses are the places that a value belongs to, as a request names them: of each
// URL the scheme, host and port, once, with a space between.
func Addresses(urls []string) string {
	var out []string
	for _, u := range urls {
		_, name, _ := cutHost(u)
		if n := scheme(u); n > 0 { // without what stands before an @
			name = ascii(u[:n]) + "://" + name
		}
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

// Address is a URL as it may be shown. Of its host whatever is not ASCII is escaped,
// in whole words too: nobody compares a host with what they know of its language.
func Address(u string) string {
	before, host, after := cutHost(u)
	return before + host + after
}

// cutHost finds the host and port of a URL, or of a bare host, and escapes them.
func cutHost(u string) (before, host, after string) {
	start := 0
	if n := scheme(u); n > 0 {
		start = len(u) - len(strings.TrimLeft(u[n+1:], slashes))
	}
	end := len(u)
	if i := strings.IndexAny(u[start:], "/?#"); i >= 0 {
		end = start + i
	}
	if !strings.Contains(u[start:end], `\`) { // to a browser the host ends there, to others it does not
		start += strings.LastIndexByte(u[start:end], '@') + 1
	}
	return u[:start], ascii(u[start:end]), u[end:]
}

// slashes are what browsers take for one, and for as many as there are.
const slashes = `/\`

// scheme is the length of a URL's scheme, 0 without one: of host:port that is. A query
// may hold a whole URL; that is not where the host is.
func scheme(u string) int {
	i := strings.IndexAny(u, ":@?#"+slashes)
	if i <= 0 || u[i] != ':' || i+1 == len(u) || !strings.ContainsRune(slashes, rune(u[i+1])) {
		return 0
	}
	return i
}

func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > ' ' && r <= '~' {
			b.WriteRune(r)
		} else {
			escapeRune(&b, r)
		}
	}
	return b.String()
}
