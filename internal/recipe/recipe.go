// Package recipe makes passwords by a recipe.
package recipe

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Recipe is what a generated password is made of. Parse makes one.
type Recipe struct {
	classes []string // each has at least one character in the password
	length  int
}

// The classes of characters of a password.
const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	symbols = "!@.-_*"
)

// Default is the recipe of a password of which nothing is said.
const Default = "letters,digits,symbols,32"

const maxPassword = 64

// Parse reads letters,digits,symbols,<1-64> in any order, 1Password's grammar.
// Without a class it has all, without a length 32
// characters.
func Parse(s string) (Recipe, error) {
	r := Recipe{length: 32}
	for word := range strings.SplitSeq(s, ",") {
		switch word = strings.TrimSpace(word); word {
		case "letters":
			r.classes = append(r.classes, letters)
		case "digits":
			r.classes = append(r.classes, digits)
		case "symbols":
			r.classes = append(r.classes, symbols)
		case "":
		default:
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 || n > maxPassword {
				return r, fmt.Errorf("a password recipe is a list of letters, digits, symbols and a length from 1 to %d", maxPassword)
			}
			r.length = n
		}
	}
	if len(r.classes) == 0 {
		r.classes = []string{letters, digits, symbols}
	}
	if r.length < len(r.classes) {
		return r, fmt.Errorf("a password of %d characters has no room for one of each kind", r.length)
	}
	return r, nil
}

// Generate makes a password: every character is drawn alike from all classes,
// and drawn again as a whole until each class is there.
func (r Recipe) Generate(random io.Reader) ([]byte, error) {
	all := strings.Join(r.classes, "")
	for {
		out := make([]byte, r.length)
		for i := range out {
			n, err := below(random, len(all))
			if err != nil {
				return nil, err
			}
			out[i] = all[n]
		}
		whole := true
		for _, c := range r.classes {
			whole = whole && strings.ContainsAny(string(out), c)
		}
		if whole {
			return out, nil
		}
	}
}

// below draws a number below n, each with the same chance. n is at most 256.
func below(random io.Reader, n int) (int, error) {
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, err
		}
		if int(b[0]) < 256/n*n {
			return int(b[0]) % n, nil
		}
	}
}
