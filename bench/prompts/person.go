package main

import (
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// The scripted person. Every answer is at once: how long a person takes is not
// measured here, only how often one is asked.
const (
	leaseLife  = 30 * time.Minute // the longest that the documented policy gives, and so what is given
	leaseUses  = 50               // as in the manual
	wordsRead  = 60               // of a request; the rest is not looked at
	windowLife = 10 * time.Minute
)

// reads reports whether a person who reads the first words of a request comes
// upon the one that tells. Nobody recognises a hash or the number of a session, so
// what differs in these alone has nothing that tells.
func reads(r canon.Request, tell string) bool {
	if tell == "" {
		return false
	}
	var text strings.Builder
	for _, l := range canon.Lines(r) {
		text.WriteString(l.Label + " " + l.Text + " ")
	}
	words := strings.Fields(text.String())
	return strings.Contains(strings.Join(words[:min(len(words), wordsRead)], " "), tell)
}
