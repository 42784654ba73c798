package policy

import (
	"fmt"
	"io"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	rules "github.com/thumbturn/thumbturn/internal/policy"
)

// check loads a policy, and lists on w what is wrong with it.
func check(w io.Writer, name string, text []byte) (*rules.Set, error) {
	set, err := rules.Load(name, string(text))
	if err == nil {
		return set, nil
	}
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, err
	}
	for _, e := range all.Unwrap() {
		fmt.Fprintln(w, canon.Escape(e.Error()))
	}
	return nil, fault.New(fault.Usage, "policy check", name, fmt.Sprintf("%d faults", len(all.Unwrap())))
}

// Test runs the cases of a file against a policy, a line each, and fails when
// one does.
func Test(o Options, path, draft string) error {
	b, err := load(path)
	if err != nil {
		return err
	}
	cases, err := rules.ParseCases(path, string(b))
	if err != nil {
		return err
	}
	if len(cases) == 0 {
		return fault.New(fault.Usage, "policy test", path, "there are no cases")
	}
	name, text := "the built-in policy", []byte(rules.Default())
	if draft != "" {
		name = draft
		if text, err = load(draft); err != nil {
			return err
		}
	}
	set, err := check(o.Console.Err, name, text)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range rules.RunCases(set, cases) {
		word := "ok  "
		if r.Fault != "" {
			word, failed = "FAIL", failed+1
		}
		fmt.Fprintf(o.Console.Out, "%s  %s\n", word, canon.Escape(r.Case.Text))
		if r.Fault != "" {
			fmt.Fprintf(o.Console.Out, "      line %d: %s\n", r.Case.Line, canon.Escape(r.Fault))
		}
	}
	if failed > 0 {
		return fault.New(fault.Conflict, "policy test", path, fmt.Sprintf("%d of %d cases failed", failed, len(cases)))
	}
	return nil
}
