package audit

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
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
	choices(cmd, "caller", "person", "agent", "service")
	choices(cmd, "type", string(canon.EventStart), string(canon.EventUnlock), string(canon.EventLock), string(canon.EventRequest),
		string(canon.EventDecision), string(canon.EventDenial), string(canon.EventIntent), string(canon.EventOutcome),
		string(canon.EventBlock), string(canon.EventWrite), string(canon.EventStop))
}

// at resolves the times.
func (s *selection) at(now time.Time) (api.AuditFilter, error) {
	f := s.filter
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
