package audit

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
)

// selection is a filter as it stands on the command line.
type selection struct {
	filter       api.AuditFilter
	since, until string
}

// flags puts the filters on a command.
func (s *selection) flags(cmd *cobra.Command) {
	f, fl := &s.filter, cmd.Flags()
	fl.StringVar(&f.Caller, "caller", "", "only this `KIND` of caller: person, agent or service")
	fl.StringVar(&f.Agent, "agent", "", "only callers that look like the agent `NAME`")
	fl.StringVar(&f.Vault, "vault", "", "only this `VAULT`")
	fl.StringVar(&f.Item, "item", "", "only this `ITEM`")
	fl.StringVar(&f.Principal, "principal", "", "only requests made for `WHOM`, such as \"uid 1000\", and what came of them")
	fl.StringVar(&f.Tenant, "tenant", "", "only requests of the tenant `ACCOUNT`, and what came of them")
	fl.StringVar(&f.Purpose, "purpose", "", "only requests whose claimed purpose is `TEXT`, and what came of them")
	fl.StringVar(&f.Outcome, "outcome", "", "only this `OUTCOME`, such as denied")
	fl.StringVar(&f.Type, "type", "", "only this `TYPE`, such as intent")
	fl.StringVar(&s.since, "since", "", "not before `TIME`: 24h, 2026-01-31 or 2026-01-31T12:00:00Z")
	fl.StringVar(&s.until, "until", "", "not after `TIME`, in the same forms")
	for _, l := range s.lists() {
		choices(cmd, l.flag, l.words...)
	}
}

// list is a filter that knows all its words.
type list struct {
	flag, value string
	words       []string
}

func (s *selection) lists() []list {
	types := []string{}
	for _, t := range canon.EventTypes() {
		types = append(types, string(t))
	}
	return []list{
		{"caller", s.filter.Caller, []string{"person", "agent", "service"}},
		{"outcome", s.filter.Outcome, canon.Outcomes()},
		{"type", s.filter.Type, types},
	}
}

// at checks the words and resolves the times.
func (s *selection) at(now time.Time) (api.AuditFilter, error) {
	f := s.filter
	for _, l := range s.lists() {
		if l.value != "" && !slices.Contains(l.words, l.value) {
			return f, console.Usage("unknown %s %q; use %s", l.flag, l.value, strings.Join(l.words, ", "))
		}
	}
	var err error
	if f.Since, err = moment(s.since, now); err != nil {
		return f, err
	}
	f.Until, err = moment(s.until, now)
	return f, err
}

// choices tells shells the values of a flag.
func choices(cmd *cobra.Command, flag string, values ...cobra.Completion) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
