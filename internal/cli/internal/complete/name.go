package complete

import (
	"context"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

const scheme = "op://"

// harmless reports whether a shell takes a name for one word that says nothing
// to it. A blank inside is quoted by the completion scripts.
func harmless(name string) bool {
	if name == "" || name != strings.TrimSpace(name) || name[0] == '-' || strings.HasPrefix(name, "_activeHelp_") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@+ ", r)
	})
}

// named offers a name where it is harmless and the only one, else the id.
func named(name, id, about string, seen map[string]int) cobra.Completion {
	if harmless(name) && seen[name] == 1 {
		return cobra.CompletionWithDesc(name, canon.Escape(about))
	}
	if !ref.IsID(id) {
		return ""
	}
	return cobra.CompletionWithDesc(id, canon.Escape(name))
}

func (s Source) vaults(cmd *cobra.Command, _ []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return matching(s.ask(cmd, func(ctx context.Context, c *sdk.Client) ([]cobra.Completion, error) {
		vs, err := c.Vaults(ctx)
		seen := map[string]int{}
		for _, v := range vs {
			seen[v.Name]++
		}
		var out []cobra.Completion
		for _, v := range vs {
			out = append(out, named(v.Name, v.ID, v.Tier, seen))
		}
		return out, err
	}), part), cobra.ShellCompDirectiveNoFileComp
}

// vaultOf is the vault that the command line names already, if any.
func vaultOf(cmd *cobra.Command) string {
	if f := cmd.Flag("vault"); f != nil {
		return f.Value.String()
	}
	return ""
}

func list(ctx context.Context, c *sdk.Client, vault string) (items []api.Item, seen map[string]int, err error) {
	seen = map[string]int{}
	err = c.Items(ctx, api.ItemList{Vault: vault}, func(it api.Item) error {
		items = append(items, it)
		seen[it.Title]++
		return nil
	})
	return items, seen, err
}

func (s Source) items(cmd *cobra.Command, _ []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return matching(s.ask(cmd, func(ctx context.Context, c *sdk.Client) ([]cobra.Completion, error) {
		items, seen, err := list(ctx, c, vaultOf(cmd))
		var out []cobra.Completion
		for _, it := range items {
			out = append(out, named(it.Title, it.ID, it.Vault.Name, seen))
		}
		return out, err
	}), part), cobra.ShellCompDirectiveNoFileComp
}

// labels completes the last entry of a list of fields.
func (s Source) labels(cmd *cobra.Command, args []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := part[:strings.LastIndexByte(part, ',')+1]
	return matching(s.ask(cmd, func(ctx context.Context, c *sdk.Client) ([]cobra.Completion, error) {
		if len(args) == 0 {
			return nil, nil
		}
		it, err := c.ItemGet(ctx, api.ItemGet{Ask: api.Ask{NoWait: true}, Vault: vaultOf(cmd), Item: args[0]}, nil)
		var out []cobra.Completion
		for _, f := range it.Fields {
			if harmless(f.Label) {
				out = append(out, before+"label="+f.Label)
			}
		}
		return out, err
	}), part), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// references completes one part of a reference at a time; a vault or an item
// ends in a slash and goes on.
func (s Source) references(cmd *cobra.Command, _ []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
	path, ok := strings.CutPrefix(part, scheme)
	if !ok && !strings.HasPrefix(scheme, part) {
		return nothing(cmd, nil, part)
	}
	segments := strings.Split(path, "/")
	step := [...]func(context.Context, *sdk.Client, []string) ([]cobra.Completion, error){vaultRefs, itemRefs, fieldRefs, fieldRefs}
	if len(segments) > len(step) {
		return nothing(cmd, nil, part)
	}
	found := matching(s.ask(cmd, func(ctx context.Context, c *sdk.Client) ([]cobra.Completion, error) {
		return step[len(segments)-1](ctx, c, segments)
	}), part)
	if len(segments) < 3 {
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// begin prints a reference up to the slash after its first n parts; empty if
// they are no parts of a reference.
func begin(n int, vault, item string) string {
	s := ref.Ref{Vault: vault, Item: item, Field: "x"}.String()
	if _, err := ref.Parse(s); err != nil {
		return ""
	}
	return scheme + strings.Join(strings.SplitAfter(s[len(scheme):], "/")[:n], "")
}

func vaultRefs(ctx context.Context, c *sdk.Client, _ []string) ([]cobra.Completion, error) {
	vs, err := c.Vaults(ctx)
	var out []cobra.Completion
	for _, v := range vs {
		out = append(out, begin(1, v.Name, "x"))
	}
	return out, err
}

func itemRefs(ctx context.Context, c *sdk.Client, typed []string) ([]cobra.Completion, error) {
	in, err := ref.Parse(scheme + typed[0] + "/x/x")
	if err != nil {
		return nil, err
	}
	items, seen, err := list(ctx, c, in.Vault)
	var out []cobra.Completion
	for _, it := range items {
		name := it.Title
		if seen[name] > 1 {
			name = it.ID
		}
		out = append(out, begin(2, in.Vault, name))
	}
	return out, err
}

func fieldRefs(ctx context.Context, c *sdk.Client, typed []string) ([]cobra.Completion, error) {
	in, err := ref.Parse(scheme + typed[0] + "/" + typed[1] + "/x")
	if err != nil {
		return nil, err
	}
	it, err := c.ItemGet(ctx, api.ItemGet{Ask: api.Ask{NoWait: true}, Vault: in.Vault, Item: in.Item}, nil)
	var out []cobra.Completion
	for _, f := range it.Fields {
		// The daemon's reference names the field without doubt; vault and item
		// stay as they were typed.
		r, err := ref.Parse(f.Reference)
		if err != nil {
			continue
		}
		r.Vault, r.Item = in.Vault, in.Item
		out = append(out, cobra.CompletionWithDesc(r.String(), strings.ToLower(canon.Escape(f.Type))))
	}
	return out, err
}

// pending are the requests that wait for an answer; to deny, also leases.
func (s Source) pending(cmd *cobra.Command, _ []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if cmd.Name() == "deny" {
		return s.requests(cmd, part, false, "pending", "leased")
	}
	return s.requests(cmd, part, false, "pending")
}

// open are the requests that an asker may come back for.
func (s Source) open(cmd *cobra.Command, _ []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return s.requests(cmd, part, true, "pending", "approved")
}

func (s Source) requests(cmd *cobra.Command, part string, all bool, states ...string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return matching(s.ask(cmd, func(ctx context.Context, c *sdk.Client) ([]cobra.Completion, error) {
		ps, err := c.Requests(ctx, api.RequestList{All: all})
		var out []cobra.Completion
		for _, p := range ps {
			for _, state := range states {
				if p.State == state && canon.IsID(p.ID) {
					about := p.State + ": " + p.Action + " " + strings.Join(p.Refs, " ")
					out = append(out, cobra.CompletionWithDesc(p.ID, canon.Escape(about)))
				}
			}
		}
		return out, err
	}), part), cobra.ShellCompDirectiveNoFileComp
}
