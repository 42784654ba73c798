package broker

import (
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// event records one step of a release. It names; it never quotes a value.
func (b *Broker) event(r *release, t canon.EventType, outcome, reason string) canon.Event {
	ev := canon.Event{Type: t, Request: r.request.ID, Action: r.action, Outcome: outcome, Reason: reason,
		Kind: string(r.who.Kind()), Agent: r.who.Label(), Root: r.who.Root().String(), Rules: r.verdict.Rules}
	if len(r.raw) > 0 {
		d := r.digest
		ev.Digest, ev.Raw = &d, r.raw
	}
	if r.who.Kind() != "" {
		ev.Evidence = evidence(r.who)
	}
	for _, s := range r.subjects {
		ev.Refs, ev.Vaults, ev.Items = append(ev.Refs, s.Ref), append(ev.Vaults, s.Vault), append(ev.Items, s.Item)
	}
	return ev
}

// did records an act other than a release.
func (b *Broker) did(who identity.Caller, t canon.EventType, action, outcome string, vault, item, refs string) canon.Event {
	ev := canon.Event{Type: t, Action: action, Outcome: outcome, Kind: string(who.Kind()), Agent: who.Label(), Root: who.Root().String()}
	for _, p := range []struct {
		to *[]string
		v  string
	}{{&ev.Vaults, vault}, {&ev.Items, item}, {&ev.Refs, refs}} {
		if p.v != "" {
			*p.to = []string{p.v}
		}
	}
	return ev
}
