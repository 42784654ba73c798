package console

import (
	"fmt"
	"time"

	"github.com/thumbturn/thumbturn/api"
)

// PIN says in a few words how things are with the PIN.
func PIN(p api.PIN) string {
	switch {
	case !p.Known:
		return "not known while locked"
	case p.Here:
		return "set, and approves on this device"
	case p.Set:
		return "set on another device, or lost with what the TPM kept: thumbturn pin set"
	}
	return "not set"
}

// TPM says in a few words what the TPM says. What it says is from outside.
func TPM(t api.TPM) string {
	if t.Why != "" {
		return "none that a PIN can use: " + t.Why
	}
	s := "present"
	if t.Maker != "" {
		s += " (" + t.Maker + ")"
	}
	forgets := Span(time.Duration(t.Forgets) * time.Millisecond)
	switch {
	case t.Locked:
		return s + fmt.Sprintf(", LOCKED OUT after %d wrong authorizations: it takes a PIN again in at most %s, with the machine left on", t.Failures, forgets)
	case t.Failures > 0:
		return s + fmt.Sprintf(", %d of %d wrong authorizations counted, one is forgotten every %s", t.Failures, t.Limit, forgets)
	}
	return s + fmt.Sprintf(", refuses all after %d wrong authorizations", t.Limit)
}
