package agent

import (
	"path"
	"slices"
	"strings"
)

// OfCommand names the known agent that a command line would start: called are
// the names the program goes by, its path and what that links to among them,
// args what follows it. Where a program runs another one, the arguments tell.
func OfCommand(called, args []string) (label string, ok bool) {
	runner := false
	for _, n := range called {
		if label := like(n); label != "" {
			return label, true
		}
		runner = runner || isRunner(base(n))
	}
	if !runner {
		return "", false
	}
	for i, arg := range args {
		if i == scriptArgs {
			break
		}
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if label := line(arg); label != "" {
			return label, true
		}
		if name := path.Base(arg); strings.Contains(name, ".") && !strings.Contains(name, " ") && !strings.Contains(name, "@") {
			break // a script; what follows is its own
		}
	}
	return "", false
}

// isRunner tells that a program runs another one, or a script, that its
// arguments name.
func isRunner(name string) bool { return interpreter(name) || slices.Contains(wrappers, name) }

func like(name string) string {
	if label, ok := names[base(name)]; ok {
		return label
	}
	label, _ := packageIn(name)
	return label
}

// line looks at an argument: a script, a package, or a shell's command
// line, in which each command's first word counts.
func line(arg string) string {
	for _, command := range strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune(";&|()\n`", r) }) {
		for _, word := range strings.Fields(command) {
			if label := like(word); label != "" {
				return label
			}
			if word != "exec" && word != "command" && !isRunner(base(word)) &&
				!strings.Contains(word, "=") && !strings.HasPrefix(word, "-") {
				break
			}
		}
	}
	return ""
}

// withoutVersion cuts what follows a package's name: @1.2, @latest; but pi@host
// is a user on a machine.
func withoutVersion(name string) string {
	cut, version, ok := strings.Cut(name, "@")
	if ok && (version == "latest" || version == "next" || version != "" && strings.ContainsRune("0123456789^~", rune(version[0]))) {
		return cut
	}
	return name
}

// slashed is a path with forward slashes.
func slashed(p string) string { return strings.ReplaceAll(p, `\`, "/") }
