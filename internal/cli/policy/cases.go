package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	rules "github.com/thumbturn/thumbturn/internal/policy"
)

// cases is a test file. The names of facts are those of the policy's attributes
// in Go's spelling, in any letter case; an unknown one is an error.
type cases struct {
	Policy string `json:"policy"` // path from the test file on; empty means the built-in policy
	Cases  []struct {
		Name  string      `json:"name"`
		Facts rules.Facts `json:"facts"`
		Want  struct {
			Decision string   `json:"decision"` // deny, ask or allow
			Rules    []string `json:"rules"`    // where given, exactly these decided
		} `json:"want"`
	} `json:"cases"`
}

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

// Test runs the cases of a file, one line each, and fails when one does.
func Test(o Options, path string) error {
	b, err := load(path)
	if err != nil {
		return err
	}
	var in cases
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fault.Wrap(fault.Usage, "policy test", path, err)
	}
	if len(in.Cases) == 0 {
		return fault.New(fault.Usage, "policy test", path, "there are no cases")
	}
	name, text := "the built-in policy", []byte(rules.Default())
	if in.Policy != "" {
		if name = in.Policy; !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		if text, err = load(name); err != nil {
			return err
		}
	}
	set, err := check(o.Console.Err, name, text)
	if err != nil {
		return err
	}
	failed := 0
	for _, c := range in.Cases {
		v := set.Decide(c.Facts)
		ok := v.Decision.String() == c.Want.Decision && (c.Want.Rules == nil || slices.Equal(c.Want.Rules, v.Rules))
		word := "ok  "
		if !ok {
			word, failed = "FAIL", failed+1
		}
		fmt.Fprintf(o.Console.Out, "%s  %s: %s by %s (%s)\n", word, canon.Escape(c.Name), v.Decision, v.Rules, canon.Escape(v.Reason))
	}
	if failed > 0 {
		return fault.New(fault.Internal, "policy test", path, fmt.Sprintf("%d of %d cases failed", failed, len(in.Cases)))
	}
	return nil
}
