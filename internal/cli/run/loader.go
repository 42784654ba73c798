package run

import (
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/loader"
)

// An env-file, or a project's file, travels with a project, so whoever can write
// to the project chooses it, agents included. A variable that makes a program
// load or start other code would put that code into the process that holds the
// values. The inherited environment is not judged: who sets it can start
// anything anyway.

// refuseLoaders names every such variable of a file that nobody allowed.
func refuseLoaders(vars []variable, allowed []string) error {
	var places, hint []string
	for _, v := range vars {
		if !loader.Is(v.name) || contains(allowed, v.name) {
			continue
		}
		places = append(places, v.place+": "+v.name+" makes programs load or start other code")
		hint = append(hint, "--allow-env "+v.name)
	}
	if len(places) == 0 {
		return nil
	}
	return console.Usage("%s", strings.Join(places, "; ")).
		WithHint("if you trust what it names, add " + canon.Escape(strings.Join(hint, " ")))
}
