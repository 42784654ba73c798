package broker

import (
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
)

// event records one step of a release. It names; it never quotes a value.
func (b *Broker) event(r *release, t canon.EventType, outcome, reason string) canon.Event {
	ev := canon.Event{Type: t, Request: r.request.ID, Action: r.action, Outcome: outcome, Reason: reason,
		Kind: string(r.who.Kind()), Agent: r.who.Label(), Root: r.who.Root().String(), Rules: r.verdict.Rules}
	if len(r.raw) > 0 {
		d := r.digest
		ev.Digest, ev.Raw = &d, r.raw
	}
	if r.who.Kind() != "" && (t == canon.EventIntent || t == canon.EventDenial) {
		ev.Evidence = gate.Evidence(r.who)
	}
	for _, s := range r.subjects {
		ev.Refs, ev.Vaults, ev.Items = append(ev.Refs, s.Ref), append(ev.Vaults, s.Vault), append(ev.Items, s.Item)
	}
	return ev
}
