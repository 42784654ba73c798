package api

// Pending is one request that waits for a person, or an answered one.
type Pending struct {
	ID      string   `json:"id"`
	Code    string   `json:"code"`
	State   string   `json:"state"` // pending, approved, denied, expired, used; leased: its approval gave a lease that lives; muted: its session may not ask
	Action  string   `json:"action"`
	Caller  string   `json:"caller"`
	Label   string   `json:"label,omitempty"`
	Refs    []string `json:"refs,omitempty"`
	Issued  int64    `json:"issued"`
	Expires int64    `json:"expires"`
	Rules   []string `json:"rules,omitempty"`
	Why     string   `json:"why,omitempty"`
	Lease   int64    `json:"lease_ms,omitempty"`  // the longest lease that its approval may give
	Left    int      `json:"uses_left,omitempty"` // leased; none where uses are not counted
	Refused int      `json:"refused,omitempty"`   // muted: how often since
	Root    string   `json:"root,omitempty"`      // the session that asked: "pid.start.boot"
	Raw     []byte   `json:"raw,omitempty"`       // canonical bytes; request.get only
	Unlock  bool     `json:"unlock,omitempty"`    // asked while locked, by names alone: a passkey opens the vaults and approves it

	Secrets []PendingSecret `json:"secrets,omitempty"` // in the order of refs
}

// PendingSecret is what a request says of a value beside its reference.
type PendingSecret struct {
	Ref       string `json:"ref"`
	Tier      string `json:"tier"`
	Revision  int64  `json:"revision"`
	Writer    string `json:"writer"`              // who changed the item last
	Addresses string `json:"addresses,omitempty"` // where it belongs: scheme, host and port of each, a space between
	Binding   string `json:"binding"`             // the tag of these addresses; another one, another place
}

// RequestList filters a list of requests: those that wait, or all that are
// still known.
type RequestList struct {
	All bool `json:"all,omitempty"`
}

// RequestID names a request.
type RequestID struct {
	ID     string `json:"id"`
	Source string `json:"source,omitempty"`  // see Auth
	Kind   string `json:"kind,omitempty"`    // approve: see Auth
	Lease  *Lease `json:"lease,omitempty"`   // approve: also give this
	Mute   int64  `json:"mute_ms,omitempty"` // deny: and let the session ask nothing for that long
}
