package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
)

// Decide gives the verdict on one request. Every rule that matches counts: a
// forbid denies; of the permits the strictest wins, so that any ask beats none,
// and the shortest lease and lowest ceiling hold. A rule that cannot be
// evaluated denies, whatever the others say.
func (s *Set) Decide(f Facts) Verdict {
	v := Verdict{Digest: f.Digest}
	if s == nil || s.policies == nil {
		v.Reason = "no policy is in force"
		return v
	}
	grade, why := f.known()
	if why != "" {
		v.Reason = why
		return v
	}
	req, entities := question(f)
	decision, d := cedar.Authorize(s.policies, entities, req)
	for _, e := range d.Errors {
		v.Rules = append(v.Rules, string(e.PolicyID))
	}
	if len(v.Rules) > 0 { // whatever matched besides decided nothing
		slices.Sort(v.Rules)
		v.Reason = "rule " + v.Rules[0] + " cannot be evaluated"
		return v
	}
	for _, r := range d.Reasons {
		v.Rules = append(v.Rules, string(r.PolicyID))
	}
	slices.Sort(v.Rules)
	if decision == cedar.Allow && len(v.Rules) > 0 {
		return s.permit(v, grade)
	}
	for _, id := range v.Rules {
		v.Reason = join(v.Reason, s.rules[cedar.PolicyID(id)].reason)
	}
	switch {
	case v.Reason == "" && len(v.Rules) > 0:
		v.Reason = "a rule forbids it"
	case v.Reason == "":
		v.Reason = "no rule lets a caller of kind " + f.Caller + " do this: " + f.Action
	}
	return v
}

// permit joins the permits that matched.
func (s *Set) permit(v Verdict, grade Grade) Verdict {
	v.Decision, v.Ceiling = Allow, Reveal
	var silent string // reasons of the permits that do not ask
	for _, id := range v.Rules {
		r, ok := s.rules[cedar.PolicyID(id)]
		if !ok {
			return Verdict{Digest: v.Digest, Rules: v.Rules, Reason: "rule " + id + " is not known"}
		}
		v.Ceiling = lower(v.Ceiling, r.ceiling)
		switch {
		case r.ask == NoTier:
			silent = join(silent, r.reason)
			continue
		case v.Decision == Ask:
			v.Lease = min(v.Lease, r.lease)
		default:
			v.Decision, v.Ask, v.Lease = Ask, r.ask, r.lease
		}
		v.Reason = join(v.Reason, r.reason)
	}
	if grade.rank() > v.Ceiling.rank() {
		return Verdict{Digest: v.Digest, Rules: v.Rules,
			Reason: "the rules give " + string(v.Ceiling) + " at most, not " + string(grade)}
	}
	if v.Reason == "" && v.Decision == Allow {
		v.Reason = silent
	}
	return v
}

// known checks that the facts speak of known things and agree with themselves;
// it returns the grade of the delivery, or why they are denied. Rules decide
// only about facts that are whole: a fact that is missing could make a forbid
// not match.
func (f Facts) known() (Grade, string) {
	t, ok := action(f.Action)
	switch {
	case kind(f.Caller) == "":
		return "", "the kind of caller is not known"
	case !ok:
		return "", "the action is not known"
	case f.Tier != tierStandard && f.Tier != tierPresence && f.Tier != "":
		return "", "the tier of the vault is not known"
	case t.vault && f.Tier == "":
		return "", "the facts do not tell the tier of the vault"
	case t.grade == "" && f.Grade != "" && f.Grade != "none":
		return "", "the action delivers nothing, yet a grade is given"
	case t.grade != "" && f.Grade != "" && Grade(f.Grade) != t.grade:
		return "", "the grade is not that of the action"
	}
	return t.grade, ""
}

// question states the facts in the terms of the schema.
func question(f Facts) (cedar.Request, cedar.EntityMap) {
	who := cedar.NewEntityUID(cedar.EntityType(kind(f.Caller)), cedar.String(f.Agent))
	target := cedar.NewEntityUID("Target", cedar.String(f.Item))
	entities := cedar.EntityMap{
		who: {UID: who, Attributes: cedar.NewRecord(cedar.RecordMap{
			"label": cedar.String(f.Agent), "session": cedar.Boolean(f.Session),
			"foreground": cedar.Boolean(f.Foreground), "direct": cedar.Boolean(f.DirectChild),
		})},
		target: {UID: target, Attributes: cedar.NewRecord(cedar.RecordMap{
			"vault": cedar.String(f.Vault), "name": cedar.String(f.Name),
			"standard": cedar.Boolean(f.Tier == tierStandard), "presence": cedar.Boolean(f.Tier == tierPresence),
			"item": cedar.String(f.Item), "field": cedar.String(f.Field),
		})},
	}
	return cedar.Request{
		Principal: who,
		Action:    cedar.NewEntityUID("Action", cedar.String(f.Action)),
		Resource:  target,
		Context: cedar.NewRecord(cedar.RecordMap{
			"sink": cedar.String(f.Sink), "program": cedar.String(f.Program),
			"principal": f.Principal.record(), "tenant": f.Tenant.record(), "purpose": f.Purpose.record(),
			"lease": cedar.Boolean(f.Lease), "window": cedar.Boolean(f.Window), "grant": cedar.Boolean(f.Grant),
		}),
	}, entities
}

func (c Claim) record() cedar.Record {
	return cedar.NewRecord(cedar.RecordMap{"value": cedar.String(c.Value), "derived": cedar.Boolean(c.Derived)})
}
