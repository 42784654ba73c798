package main

import (
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// The scripted person. Every answer is at once: how long a person takes is not
// measured here, only how often one is asked.
const (
	wordsRead  = 60 // of a request; the rest is not looked at
	windowLife = 10 * time.Minute
	moment     = 500 * time.Millisecond // what a session asks for within it is one question
)

// setup is how a project, its agents and the person are set up.
type setup struct {
	name     string
	life     time.Duration // the longest lease that the policy gives, and so what is given
	uses     int           // of each
	project  bool          // agents ask at the start for what the project's file names, and run its tasks
	together time.Duration // what a session asks for within it is answered as one question
}

// before is how it was when each command was asked about as it came.
func before() setup {
	return setup{name: "asked as it comes, 30 min", life: 30 * time.Minute, uses: 50}
}

// asked is where the project asks once: with leases for a working day. The uses are
// what thumbturn approve gives when nothing is said.
func asked() setup {
	return setup{name: "project ask, 8 h", life: 8 * time.Hour, uses: 100, project: true, together: moment}
}

// setups are those that are replayed, the one that counts last.
func setups() []setup {
	half := asked()
	half.name, half.life = "project ask, 30 min", 30*time.Minute
	return []setup{before(), half, asked()}
}

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
