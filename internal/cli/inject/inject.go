// Package inject is the inject command: it puts values where references stand
// in a template. What it writes can be read by whoever asked, so it needs the
// same leave as read.
//
// It is all or nothing: every reference is parsed, then all are asked for in
// one request, and only when the whole text is made is any of it written. What
// is wrong with the references is told all at once, each with its place.
package inject

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what inject takes.
type Options struct {
	Console  *console.Console
	Environ  []string               // os.Environ(), for the variables in references
	Dir      func() (string, error) // the working directory
	Ask      api.Ask
	In, Out  string // files; empty for the standard streams
	Mode     string // octal
	Force    bool
	Comments []string
}

// New returns the inject command; o holds what does not come from flags.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inject",
		Short: "Fill a template with values",
		Long: `Fill a template with the values of the secret references in it: op://vault/item/field,
or {{ op://vault/item/field }} for names with spaces. {{ "text" }} stands for the
text itself. In references, $NAME, ${NAME} and ${NAME:-default} are variables of
the environment. All other bytes stay as they are.

Every bad reference, also one that leads nowhere, is reported with its place, and
then nothing is written. All references are one request. Agents are refused: they
use "thumbturn run" instead.

A reference in a comment is filled in too, unless --comments says what begins a
comment in the template's format.`,
		Example: "  thumbturn inject -i config.tpl -o config.yml --comments '#'\n" +
			"  echo 'token: {{ op://team/github/token }}' | thumbturn inject",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return Inject(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.In, "in-file", "i", "", "read the template from `FILE` instead of standard input")
	f.StringVarP(&o.Out, "out-file", "o", "", "write the result to `FILE` instead of printing it")
	f.StringVar(&o.Mode, "file-mode", "0600", "permissions of the file, an octal `MODE`")
	f.BoolVarP(&o.Force, "force", "f", false, "replace an existing file without asking")
	f.StringArrayVar(&o.Comments, "comments", nil, "leave references alone after `TOKEN`, such as '#', up to the end of the line; may be repeated")
	f.AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

// Inject fills one template.
func Inject(ctx context.Context, o Options) error {
	mode, err := strconv.ParseUint(o.Mode, 8, 32)
	if err != nil || mode > 0o777 {
		return console.Usage("--file-mode wants octal permissions such as 0600")
	}
	if o.Out != "" { // before anybody is asked for an approval
		if o.Force, err = o.Console.MayWrite(o.Out, o.Force); err != nil {
			return err
		}
	}
	t, err := o.template()
	if err != nil {
		return err
	}
	if len(t.bad) > 0 {
		return o.refused(ctx, t)
	}
	text, err := o.filled(ctx, t)
	if err != nil {
		return err
	}
	defer clear(text)
	if o.Out == "" {
		_, err := o.Console.Out.Write(text)
		return err
	}
	if err := o.Console.WriteFile(o.Out, text, fs.FileMode(mode), o.Force); err != nil {
		return err
	}
	return o.Console.Print(map[string]string{"file": o.Out}, func(w io.Writer) { fmt.Fprintln(w, canon.Escape(o.Out)) })
}

// filled asks for the values and returns the text, which the caller wipes.
func (o Options) filled(ctx context.Context, t template) ([]byte, error) {
	refs, index := distinct(t.parsed.Refs())
	switch {
	case len(refs) == 0:
		return t.fill(nil, nil)
	case len(refs) > api.MaxValues:
		// Several requests would be several approvals, and no longer all or nothing.
		return nil, fault.New(fault.Usage, "inject", t.name, fmt.Sprintf("has %d different references, and one request holds %d",
			len(refs), api.MaxValues)).WithHint("split the template")
	}
	want := api.Want{Ask: o.Ask, Sink: "reveal", Refs: make([]string, len(refs)), Program: api.Program{Argv: o.argv()}}
	for i, r := range refs {
		want.Refs[i] = r.String()
	}
	if dir, err := o.Dir(); err == nil {
		want.Program.Dir = dir
	}
	var text []byte
	err := o.Console.Session(ctx, func(s *sdk.Client) error {
		_, values, err := s.Release(ctx, want, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(o.astray(ctx, s, t, err))
		}
		defer sdk.Wipe(values...)
		text, err = t.fill(values, index)
		return err
	})
	return text, err
}

// distinct returns each reference once, in order of first appearance, and the
// place of each in that list. Letter case does not make a difference.
func distinct(refs []ref.Ref) ([]ref.Ref, map[ref.Ref]int) {
	var out []ref.Ref
	index := make(map[ref.Ref]int, len(refs))
	folded := make(map[string]int, len(refs))
	for _, r := range refs {
		key := strings.ToLower(r.String())
		i, ok := folded[key]
		if !ok {
			i = len(out)
			folded[key] = i
			out = append(out, r)
		}
		index[r] = i
	}
	return out, index
}

// argv is the command as the request names it: what was read and what is
// written, in one spelling, so that it is the same request when it is asked
// again.
func (o Options) argv() []string {
	argv := []string{"thumbturn", "inject"}
	if o.In != "" {
		argv = append(argv, "--in-file", o.In)
	}
	if o.Out != "" {
		argv = append(argv, "--out-file", o.Out)
	}
	return argv
}
