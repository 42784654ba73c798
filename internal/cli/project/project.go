// Package project is the project commands: they show what a project's file asks
// for, and check it. They ask nobody: the file grants nothing, and neither do
// they.
package project

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/finder"
	"github.com/thumbturn/thumbturn/internal/cli/internal/loader"
	"github.com/thumbturn/thumbturn/internal/fault"
	file "github.com/thumbturn/thumbturn/internal/project"
	"github.com/thumbturn/thumbturn/ref"
)

// Options is what the project commands take.
type Options struct {
	Console *console.Console
	Dir     func() (string, error) // the working directory
	// Want is what running a task would ask for.
	Want func(ctx context.Context, task string) (api.Want, error)
	Ask  api.Ask
}

// New returns the group of project commands.
func New(o Options) *cobra.Command {
	group := &cobra.Command{
		Use:   "project",
		Short: "Show and check the project's file, " + file.FileName,
		Long: `Show and check the project's file, ` + file.FileName + `, in this directory or above. It
says which references the project needs, for which tasks, and what agents will
ask for. It can only ask: it grants nothing.`,
		Example: "  thumbturn project show\n  thumbturn project check",
	}
	group.AddCommand(
		&cobra.Command{
			Use: "show [FILE]", Short: "Show what the project's file asks for; needs no daemon",
			Example: "  thumbturn project show\n  thumbturn project show --format json",
			Args:    cobra.MaximumNArgs(1),
			RunE:    func(_ *cobra.Command, args []string) error { return Show(o, args) },
		},
		&cobra.Command{
			Use: "check [FILE]", Short: "Check the project's file strictly; needs no daemon",
			Long: `Check the project's file strictly and print every mistake with its place.

Exit status: 0 valid, 2 mistakes, 1 there is no file or it is not safe to read.`,
			Example: "  thumbturn project check\n  thumbturn project check ../other/" + file.FileName,
			Args:    cobra.MaximumNArgs(1),
			RunE:    func(_ *cobra.Command, args []string) error { return Check(o, args) },
		}, newAsk(o))
	return group
}

// find reads the file that is named, or else the project's.
func (o Options) find(args []string) (finder.Found, error) {
	dir, err := o.Dir()
	if err != nil {
		return finder.Found{}, fault.New(fault.Unavailable, "project", "", "the working directory is not known")
	}
	if len(args) == 0 {
		return finder.Find(dir, o.Console.Getenv)
	}
	path := args[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return finder.Read(path)
}

// Check prints every mistake.
func Check(o Options, args []string) error {
	found, err := o.find(args)
	mistakes, bad := errors.AsType[file.Errors](err)
	if err != nil && !bad {
		return err
	}
	for _, v := range found.Variables() {
		if loader.Is(v.Name) {
			mistakes = append(mistakes, &file.Error{File: found.Path, Place: v.Place, Msg: v.Name + " makes programs load or start other code",
				Hint: "thumbturn run refuses it without --allow-env " + v.Name})
		}
	}
	if err := o.Console.Print(report(found.Path, mistakes), func(w io.Writer) { printMistakes(w, found.Path, mistakes) }); err != nil {
		return err
	}
	if len(mistakes) == 0 {
		return nil
	}
	return fault.New(fault.Usage, "project", found.Path, fmt.Sprintf("mistakes: %d", len(mistakes)))
}

// checked is the result of a check as JSON.
type checked struct {
	Path     string    `json:"path"`
	State    string    `json:"state"` // valid or invalid
	Mistakes []mistake `json:"mistakes"`
}

type mistake struct {
	Line int    `json:"line"`
	Col  int    `json:"col"`
	Msg  string `json:"msg"`
	Hint string `json:"hint,omitempty"`
}

func report(path string, mistakes file.Errors) checked {
	out := checked{Path: path, State: "valid", Mistakes: []mistake{}}
	for _, e := range mistakes {
		out.State = "invalid"
		out.Mistakes = append(out.Mistakes, mistake{e.Line, e.Col, e.Msg, e.Hint})
	}
	return out
}

func printMistakes(w io.Writer, path string, mistakes file.Errors) {
	if len(mistakes) == 0 {
		fmt.Fprintf(w, "%s is valid\n", canon.Escape(path))
	}
	for _, e := range mistakes {
		line := e.Error()
		if e.Hint != "" {
			line += " (" + e.Hint + ")"
		}
		fmt.Fprintln(w, canon.Escape(line))
	}
}

// Show prints what the file asks for.
func Show(o Options, args []string) error {
	found, err := o.find(args)
	if mistakes, ok := errors.AsType[file.Errors](err); ok {
		return finder.Mistaken(mistakes)
	}
	if err != nil {
		return err
	}
	s := describe(found)
	return o.Console.Print(s, s.print)
}

// shown is a file as JSON: values that are plain text are left out, since they
// may be what should have been a reference.
type shown struct {
	Path   string     `json:"path"`
	Code   string     `json:"code"` // short form of the digest
	Digest canon.Hash `json:"digest"`
	Refs   []string   `json:"refs"` // all of the file, once
	Env    []variable `json:"env"`
	Tasks  []task     `json:"tasks"`
	Needs  []need     `json:"needs"` // of agents
}

type variable struct {
	Name string   `json:"name"`
	Refs []string `json:"refs"` // none: plain text
}

type task struct {
	Name    string     `json:"name"`
	Argv    []string   `json:"argv"`
	Free    bool       `json:"free_arguments"` // further ones may follow
	Dir     string     `json:"dir"`
	Purpose string     `json:"purpose,omitempty"`
	Env     []variable `json:"env"`
}

type need struct {
	Refs    []string `json:"refs"`
	Task    string   `json:"task,omitempty"`
	Host    string   `json:"host,omitempty"`
	Purpose string   `json:"purpose,omitempty"`
}

func describe(f finder.Found) shown {
	d := canon.ProjectDigest(f.Text)
	out := shown{Path: f.Path, Code: canon.ShortCode(d), Digest: d, Refs: spelled(f.Refs()), Env: described(f.Env), Tasks: []task{}, Needs: []need{}}
	for _, t := range f.Tasks {
		out.Tasks = append(out.Tasks, task{t.Name, t.Argv, t.Free, filepath.Join(f.Dir, filepath.FromSlash(t.Dir)), t.Purpose, described(t.Env)})
	}
	for _, n := range f.Needs {
		out.Needs = append(out.Needs, need{spelled(n.Refs), n.Task, n.Host, n.Purpose})
	}
	return out
}

func spelled(refs []ref.Ref) []string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = r.String()
	}
	return out
}

func described(vars []file.Variable) []variable {
	out := make([]variable, len(vars))
	for i, v := range vars {
		out[i] = variable{v.Name, spelled(v.Refs())}
	}
	return out
}

func (s shown) print(w io.Writer) {
	line := func(label, text string) { fmt.Fprintf(w, "%s%s\n", label, canon.Escape(text)) }
	env := func(indent string, vars []variable) {
		for _, v := range vars {
			value := strings.Join(v.Refs, "  ")
			if value == "" {
				value = "(plain text)"
			}
			line(indent, v.Name+"  "+value)
		}
	}
	line("", s.Path)
	line("file ", s.Code+"  (digest "+s.Digest.String()+")")
	if len(s.Env) > 0 {
		line("\nvariables, with thumbturn run --project", "")
		env("  ", s.Env)
	}
	for _, t := range s.Tasks {
		line("\ntask ", t.Name)
		line("  command    ", commandLine(t.Argv)+free(t.Free))
		line("  directory  ", t.Dir)
		if t.Purpose != "" {
			line("  purpose    ", t.Purpose)
		}
		env("  variable   ", t.Env)
	}
	for _, n := range s.Needs {
		line("\nagents will need", forWhat(n))
		for _, r := range n.Refs {
			line("  ", r)
		}
		if n.Purpose != "" {
			line("  purpose    ", n.Purpose)
		}
	}
}

func forWhat(n need) string {
	s := ""
	if n.Task != "" {
		s += ", for task " + n.Task
	}
	if n.Host != "" {
		s += ", for " + n.Host
	}
	return s
}

func commandLine(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		word := strings.TrimLeft(a, "-")
		if out[i] = a; word != "" || a == "" {
			out[i] = a[:len(a)-len(word)] + atomicfile.Quote(word)
		}
	}
	return strings.Join(out, " ")
}
