// Package policy is the commands policy show, check, test, apply and explain.
package policy

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	rules "github.com/thumbturn/thumbturn/internal/policy"
	"github.com/thumbturn/thumbturn/sdk"
)

// maxText bounds a policy text, in bytes.
const maxText = 1 << 20

// Options is what the commands of this package take.
type Options struct {
	Console *console.Console
	Ask     api.Ask
	File    string // with the presence passphrase, in test homes
}

// New returns the policy command with its subcommands.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Show, check and change the rules of access", Args: cobra.NoArgs,
		Example: "  thumbturn policy show\n  thumbturn policy check"}
	cmd.AddCommand(newShow(o), newCheck(o), newTest(o), newApply(o), newExplain(o))
	return cmd
}

func newShow(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print the policy in force",
		Example: "  thumbturn policy show",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				p, err := s.Policy(cmd.Context())
				if err != nil {
					return err
				}
				return o.Console.Print(p, func(w io.Writer) { io.WriteString(w, p.Text) })
			})
		},
	}
}

// draft returns the named file, or the one in the home's configuration.
func (o Options) draft(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	home, err := o.Console.Home()
	if err != nil {
		return "", fault.Wrap(fault.Usage, "", "", err)
	}
	return filepath.Join(home.Config, "policy.cedar"), nil
}

func load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "policy", path, "no such file, or not readable")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil || len(b) > maxText {
		return nil, fault.New(fault.Usage, "policy", path, "cannot be read or is too long")
	}
	return b, nil
}

// checked loads a policy and refuses one that does not hold up.
func (o Options) checked(args []string) (string, []byte, error) {
	path, err := o.draft(args)
	if err != nil {
		return "", nil, err
	}
	b, err := load(path)
	if err != nil {
		return "", nil, err
	}
	if _, err := check(o.Console.Err, path, b); err != nil {
		return "", nil, err
	}
	return path, b, nil
}

func newCheck(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "check [FILE]",
		Short:   "Check a policy without applying it; needs no daemon",
		Example: "  thumbturn policy check\n  thumbturn policy check draft.cedar",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path, _, err := o.checked(args)
			if err != nil {
				return err
			}
			return o.Console.Print(map[string]string{"path": path, "state": "valid"}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is valid\n", canon.Escape(path))
			})
		},
	}
}

func newTest(o Options) *cobra.Command {
	draft := ""
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Run test cases against a policy; needs no daemon",
		Long: `Run test cases against a policy, without a daemon. The file has a case a line:
who, what, facts, and the answer that they should get.

  agent reveal tier=standard => deny
  person hold tier=presence => ask rule=person-deliver-presence
  agent use tier=standard => ask lease=15m ceiling=use`,
		Example: "  thumbturn policy test cases.txt\n  thumbturn policy test cases.txt --policy draft.cedar",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return Test(o, args[0], draft) },
	}
	cmd.Flags().StringVar(&draft, "policy", "", "test the policy in `FILE` instead of the built-in one")
	return cmd
}

func newApply(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "apply [FILE]",
		Short:   "Make a policy the one in force; needs an approval",
		Example: "  thumbturn policy apply\n  thumbturn policy apply draft.cedar",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().AddGoFlagSet(console.AskFlags(&o.Ask))
	cmd.Flags().StringVar(&o.File, "passphrase-file", "", "approve at once with the presence passphrase in `FILE` (test homes only)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return Apply(cmd.Context(), o, args) }
	return cmd
}

// Apply checks a policy here and sends it.
func Apply(ctx context.Context, o Options, args []string) error {
	_, text, err := o.checked(args)
	if err != nil {
		return err
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		old, err := s.Policy(ctx)
		if err != nil {
			return err
		}
		if old.Text == string(text) {
			return o.applied(old, false)
		}
		for line := range strings.Lines(rules.Diff(old.Text, string(text))) {
			fmt.Fprintln(o.Console.Err, canon.Escape(strings.TrimRight(line, "\r\n")))
		}
		var refused error
		waiting := o.Console.Waiting
		if o.File != "" {
			waiting = func(w api.Waiting) { refused = o.approve(ctx, w.Request) }
		}
		if err := s.PolicyApply(ctx, api.PolicyApply{Ask: o.Ask, Text: string(text)}, waiting); err != nil {
			if refused != nil {
				return refused
			}
			return o.Console.Parked(err)
		}
		p, err := s.Policy(ctx)
		if err != nil {
			return err
		}
		return o.applied(p, true)
	})
}

// applied tells which policy is in force, and whether it was before.
func (o Options) applied(p api.Policy, changed bool) error {
	return o.Console.Print(map[string]any{"hash": p.Hash, "changed": changed}, func(w io.Writer) {
		if !changed {
			fmt.Fprint(w, "no change: ")
		}
		fmt.Fprintf(w, "the policy is in force: %s\n", canon.Escape(p.Hash))
	})
}

// approve answers the request on a connection of its own. When that fails the
// request is denied, so that nobody waits for an answer that will not come.
func (o Options) approve(ctx context.Context, id string) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		pass, auth, err := o.Console.Passphrase("presence passphrase: ", o.File)
		if err == nil {
			defer clear(pass)
			s.Waiting = o.Console.Waiting // for a finger
			err = s.Approve(ctx, api.RequestID{ID: id, Source: auth.Source}, pass)
		}
		if err != nil {
			_ = s.Deny(ctx, id)
		}
		return err
	})
}

func newExplain(o Options) *cobra.Command {
	return &cobra.Command{
		Use:     "explain ID",
		Short:   "Tell which rules decided about a request",
		Example: "  thumbturn policy explain 5k3d…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.Console.Session(cmd.Context(), func(s *sdk.Client) error {
				p, err := s.Request(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				out := struct {
					Request string   `json:"request"`
					State   string   `json:"state"`
					Why     string   `json:"why"`
					Rules   []string `json:"rules"`
				}{p.ID, p.State, p.Why, append([]string{}, p.Rules...)}
				return o.Console.Print(out, func(w io.Writer) {
					fmt.Fprintf(w, "%s by %s: %s\n%s\n", canon.Escape(p.Action), canon.Escape(p.Caller),
						canon.Escape(p.State), canon.Escape(p.Why))
					for _, r := range p.Rules {
						fmt.Fprintf(w, "rule: %s\n", canon.Escape(r))
					}
				})
			})
		},
	}
}
