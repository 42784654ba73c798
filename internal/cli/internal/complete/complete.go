// Package complete tells a shell how a command line may go on. It asks a daemon
// that runs and is unlocked for names, never for a value; it starts no daemon,
// asks nobody, and where it cannot answer soon it is silent.
//
// What stands in a place is told by its word: the ITEM of "get ITEM" and of
// "--item ITEM" is completed by the titles of items.
//
// Names may come from agents. A shell pastes what it is given into the command
// line, so only names without a character that means something to a shell are
// offered; what is called otherwise is offered by its id, and a reference in its
// percent-encoded form.
package complete

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk"
)

// patience is how long a shell is kept waiting.
const patience = 300 * time.Millisecond

// Source is where names come from.
type Source struct {
	// Running dials a daemon without starting one.
	Running func(context.Context) (*sdk.Client, error)
	// Tasks names the tasks of the project's file; nil where nobody knows.
	Tasks func() []string
}

// Asked reports whether a command line is a shell's question for completions.
func Asked(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// Attach gives every command below root its completions, but for the flags that
// have some already.
func (s Source) Attach(root *cobra.Command) {
	if root.ValidArgsFunction == nil && len(root.ValidArgs) == 0 && !root.HasSubCommands() {
		root.ValidArgsFunction = s.arguments(words(root.Use))
	}
	root.LocalFlags().VisitAll(func(f *pflag.Flag) {
		word, usage := pflag.UnquoteUsage(f)
		f.Usage = usage // a shell shows it without the marks around the word
		if f.NoOptDefVal != "" {
			return // takes no value
		}
		if complete, ok := s.flag(word); ok {
			_ = root.RegisterFlagCompletionFunc(f.Name, complete) // fails only where there is one
		}
	})
	for _, sub := range root.Commands() {
		s.Attach(sub)
	}
}

// Explain gives the commands that cobra makes itself the examples that all
// others have.
func Explain(root *cobra.Command) {
	examples := map[string]string{
		"help":       "  %[1]s help item create",
		"completion": "  %[1]s completion bash",
		"bash":       "  %[1]s completion bash > ~/.local/share/bash-completion/completions/%[1]s",
		"zsh":        "  %[1]s completion zsh > \"${fpath[1]}/_%[1]s\"",
		"fish":       "  %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish",
		"powershell": "  %[1]s completion powershell | Out-String | Invoke-Expression",
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" && cmd.Name() != "completion" {
			continue
		}
		for _, c := range append(cmd.Commands(), cmd) {
			c.Example = fmt.Sprintf(examples[c.Name()], root.Name())
		}
	}
}

// placeholder is a word of a usage line that stands for an argument; those of
// flags are told by the flag.
var placeholder = regexp.MustCompile(`\b[A-Z][A-Z-]*\b(?:\]?\.\.\.)?`)

// words are the arguments of a usage line: of its first form where it shows more
// than one, and what follows "--" where a command does.
func words(use string) []string {
	use, _, _ = strings.Cut(use, " | ")
	if _, rest, ok := strings.Cut(use, " -- "); ok {
		use = rest
	}
	return placeholder.FindAllString(use, -1)
}

// arguments completes arguments by the words of a usage line.
func (s Source) arguments(words []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
		n := len(args)
		if last := len(words) - 1; n > last && last >= 0 && strings.HasSuffix(words[last], "...") {
			n = last
		}
		if n >= len(words) {
			return nothing(cmd, args, part)
		}
		switch word := strings.TrimRight(words[n], ".]"); word {
		case "ID":
			return s.pending(cmd, args, part)
		case "COMMAND", "PROGRAM", "ARG":
			return nil, cobra.ShellCompDirectiveDefault
		default:
			complete, ok := s.flag(word)
			if !ok {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return complete(cmd, args, part)
		}
	}
}

// flag returns how the value of a flag is completed; false leaves it to the
// shell, which knows files.
func (s Source) flag(word string) (cobra.CompletionFunc, bool) {
	switch word {
	case "REF":
		return s.references, true
	case "VAULT":
		return s.vaults, true
	case "ITEM":
		return s.items, true
	case "LIST":
		return s.labels, true
	case "ID":
		return s.open, true
	case "TIER":
		return fixed("standard", "presence"), true
	case "TASK":
		return s.tasks, s.Tasks != nil
	case "FORMAT":
		return fixed("json", "human"), true
	case "FILE", "PATH", "DIR":
		return nil, false
	}
	return nothing, true
}

// tasks names those of the project's file.
func (s Source) tasks(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return s.Tasks(), cobra.ShellCompDirectiveNoFileComp
}

func fixed(choices ...cobra.Completion) cobra.CompletionFunc {
	return cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
}

func nothing(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// ask runs f over a connection to an unlocked daemon. What f found counts only
// if it came to its end: half a list would let a shell finish a word that has
// other endings.
func (s Source) ask(cmd *cobra.Command, f func(context.Context, *sdk.Client) ([]cobra.Completion, error)) []cobra.Completion {
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	c, err := s.Running(ctx)
	if err != nil {
		return nil
	}
	defer c.Close()
	if c.Hello().State != api.StateUnlocked {
		return nil // and no refusal is recorded
	}
	found, err := f(ctx, c)
	if err != nil {
		return nil
	}
	return found
}

// matching keeps what continues part, sorted, each once.
func matching(found []cobra.Completion, part string) []cobra.Completion {
	found = slices.DeleteFunc(found, func(c cobra.Completion) bool {
		return c == "" || !strings.HasPrefix(c, part)
	})
	slices.Sort(found)
	return slices.Compact(found)
}
