package initialize

import (
	"bytes"
	_ "embed" // words.txt
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
)

//go:embed words.txt
var wordList string

// wordCount is the length of words.txt: 11 bits a word.
const wordCount = 2048

// Suggest returns six words chosen at random: 66 bits.
func Suggest(rand io.Reader) (string, error) {
	words := strings.Fields(wordList)
	if len(words) != wordCount {
		return "", fmt.Errorf("word list of %d words", len(words))
	}
	var b [12]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", err
	}
	out := make([]string, 6)
	for i := range out {
		out[i] = words[binary.BigEndian.Uint16(b[2*i:])%wordCount]
	}
	return strings.Join(out, "-"), nil
}

const (
	minLength = 12 // characters
	minBits   = 45 // of the estimate below
)

// Weak tells why a passphrase is refused beside those in use, or nothing. The
// estimate is rough and meant to stop what a list of passwords would hold, not to
// measure strength.
func Weak(p []byte, used ...[]byte) string {
	same := func(u []byte) bool { return len(u) > 0 && bytes.EqualFold(bytes.TrimSpace(p), bytes.TrimSpace(u)) }
	switch {
	case !utf8.Valid(p):
		return "is not valid text"
	case utf8.RuneCount(p) < minLength:
		return fmt.Sprintf("is shorter than %d characters", minLength)
	case slices.ContainsFunc(used, same):
		return "is in use already"
	case bits(p) < minBits:
		return "is too easy to guess"
	}
	return ""
}

// bits estimates the surprise in a text: a letter counts as in English prose;
// repetitions and runs such as 1234 count nothing; a change between kinds of
// characters counts a little.
func bits(p []byte) float64 {
	var sum float64
	seen := map[[3]rune]bool{}
	var a, b rune
	last := -1
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		p = p[n:]
		low := unicode.ToLower(r)
		kind, worth := class(r)
		tri := [3]rune{a, b, low}
		if !seen[tri] && math.Abs(float64(low-b)) > 1 {
			sum += worth
			if last >= 0 && kind != last {
				sum += 1.5
			}
		}
		seen[tri] = true
		a, b, last = b, low, kind
	}
	return sum
}

func class(r rune) (kind int, worth float64) {
	switch {
	case unicode.IsUpper(r):
		return 0, 2.5
	case unicode.IsLetter(r):
		return 1, 2.5
	case unicode.IsDigit(r):
		return 2, 3.3
	}
	return 3, 4
}

// choose gets a new passphrase: from a file, or typed twice at the terminal
// beside a suggestion. The suggestion is part of the prompt, so that it reaches
// the terminal alone and no redirected stream. The caller wipes the result.
func choose(o effects, name, file string, used ...[]byte) ([]byte, error) {
	prompt := "new " + name + " passphrase: "
	if file == "" && o.Console.Prompt.IsTerminal() {
		words, err := Suggest(o.Rand)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "", "", "no randomness")
		}
		prompt = "a strong " + name + " passphrase would be: " + words + "\n" + prompt
	}
	p, _, err := o.Console.Passphrase(prompt, file)
	if err != nil {
		return nil, err
	}
	if why := Weak(p, used...); why != "" {
		clear(p)
		return nil, fault.New(fault.Usage, "", "", "the new "+name+" passphrase "+why).
			WithHint("take six random words; both passphrases differ, from one another and from the present ones")
	}
	if file != "" {
		return p, nil
	}
	again, _, err := o.Console.Passphrase(name+" passphrase again: ", "")
	defer clear(again)
	if err == nil && !bytes.Equal(p, again) {
		err = fault.New(fault.Usage, "", "", "the two entries of the "+name+" passphrase differ")
	}
	if err != nil {
		clear(p)
		return nil, err
	}
	return p, nil
}

// effects is what the commands of this package need from outside.
type effects struct {
	Console *console.Console
	Rand    io.Reader
}
