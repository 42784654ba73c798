package canon

import (
	"encoding/json"
	"slices"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// EventType is the kind of an event.
type EventType string

// The event types. An intent is durable before a value is opened; an outcome
// follows it. Everything else records what happened at the doors.
const (
	EventStart    EventType = "start"    // the daemon began; commits the event key
	EventUnlock   EventType = "unlock"   // the session key opened
	EventLock     EventType = "lock"     // the daemon locked
	EventRequest  EventType = "request"  // a want that needs a person was parked
	EventDecision EventType = "decision" // a person answered, or time did
	EventDenial   EventType = "denial"   // policy, a limit or the state refused
	EventIntent   EventType = "intent"   // about to open and deliver
	EventOutcome  EventType = "outcome"  // delivered, or why not
	EventBlock    EventType = "block"    // uses reserved by a lease
	EventWrite    EventType = "write"    // an item or a setting changed
	EventStop     EventType = "stop"     // the daemon ended in order
)

// EventTypes are all types.
func EventTypes() []EventType {
	return []EventType{EventStart, EventUnlock, EventLock, EventRequest, EventDecision, EventDenial, EventIntent, EventOutcome,
		EventBlock, EventWrite, EventStop}
}

// Outcomes are the words of Event.Outcome. A denial has the kind of its fault.
func Outcomes() []string {
	out := []string{"allowed", "approved", "copied", "delivered", "done", "expired", "failed", "reserved", "written"}
	for _, k := range fault.Kinds() {
		out = append(out, string(k))
	}
	slices.Sort(out)
	return out
}

// Event records one thing that happened. It holds no value; argv, directory and
// reason pass the broker's replacement of known values first.
type Event struct {
	V        int             `json:"v"`
	Type     EventType       `json:"type"`
	Time     int64           `json:"time"` // unix milliseconds
	TestHome bool            `json:"test_home,omitempty"`
	Request  string          `json:"request,omitempty"` // request id
	Digest   *Hash           `json:"digest,omitempty"`
	Action   string          `json:"action,omitempty"`
	Outcome  string          `json:"outcome,omitempty"` // one of Outcomes
	Kind     string          `json:"kind,omitempty"`    // caller's kind
	Agent    string          `json:"agent,omitempty"`   // caller's label
	Root     string          `json:"root,omitempty"`    // caller's session root
	Refs     []string        `json:"refs,omitempty"`
	Vaults   []string        `json:"vaults,omitempty"`
	Items    []string        `json:"items,omitempty"`
	Rules    []string        `json:"rules,omitempty"`
	Intent   int64           `json:"intent,omitempty"` // index+1 of the intent an outcome belongs to
	Reason   string          `json:"reason,omitempty"`
	Uses     int             `json:"uses,omitempty"`
	Grant    string          `json:"grant,omitempty"`    // id of the grant that an intent used, or that was written
	Lease    string          `json:"lease,omitempty"`    // id of the lease that uses were reserved or made under, or that ended
	Proof    json.RawMessage `json:"proof,omitempty"`    // evidence of a gesture
	Raw      json.RawMessage `json:"raw,omitempty"`      // the request's canonical bytes
	Evidence json.RawMessage `json:"evidence,omitempty"` // of the caller
}

// Encode is canon.Encode of the event. What is encoded already is by far the
// greatest part of it, stands last, and is taken over as it is.
func (e Event) Encode() []byte {
	raw, evidence := e.Raw, e.Evidence
	e.Raw, e.Evidence = nil, nil
	b := Encode(e)
	b = slices.Grow(b[:len(b)-1], len(raw)+len(evidence)+32)
	if len(raw) > 0 {
		b = append(append(b, `,"raw":`...), raw...)
	}
	if len(evidence) > 0 {
		b = append(append(b, `,"evidence":`...), evidence...)
	}
	return append(b, '}')
}

// Leaf is the hash of an event in the Merkle tree: SHA-256(domain, salt, body).
// The salt of 32 random bytes lies inside the ciphertext, so that a leaf says
// nothing about a body that was erased.
func Leaf(salt, body []byte) Hash { return Digest(DomainLeaf, salt, body) }
