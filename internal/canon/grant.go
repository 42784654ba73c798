package canon

// Grant is the payload of a grant statement; its subject is the grant's id. Only
// the root key makes one. The one statement about a grant that may follow its
// first takes it back: Revoked, for which no signature is needed, and which is
// final.
type Grant struct {
	V       int    `json:"v"`
	ID      string `json:"id"`
	Vault   string `json:"vault"` // whose index key Terms are sealed under: that of the first field
	Epoch   int64  `json:"epoch"`
	Terms   Bytes  `json:"terms"` // GrantTerms, sealed: names, paths and commands are nobody's business
	Uses    int64  `json:"uses"`  // how often it may be used; 0 is as often as its time allows
	Created int64  `json:"created"`
	Until   int64  `json:"until"` // unix milliseconds
	Revoked bool   `json:"revoked"`
}

// RevisionsFollow says that a grant is for the record that is current at each
// use, not for the one that was current when it was made.
const RevisionsFollow = "follow"

// GrantTerms is what a grant pins: a use must equal all of it, and its
// references must be among Fields.
type GrantTerms struct {
	V           int          `json:"v"`
	Name        string       `json:"name"`
	Fields      []GrantField `json:"fields"`
	Revisions   string       `json:"revisions"` // RevisionsFollow
	Grade       Grade        `json:"grade"`     // hold
	UID         int          `json:"uid"`
	Program     string       `json:"program"`          // path; this and the hashes are what the caller's CLI reports
	Hash        string       `json:"hash"`             // SHA-256, hex
	Interpreter string       `json:"interpreter"`      // empty unless the program is a script
	IntHash     string       `json:"interpreter_hash"` //
	Argv        Hash         `json:"argv"`
	Shown       []string     `json:"shown"` // the argument list as displayed
	Dir         string       `json:"dir"`
	Task        string       `json:"task,omitempty"` // the job is "thumbturn run --task" with this name
}

// GrantField is one field of one item, by ids, and what of it is given.
type GrantField struct {
	Vault string `json:"vault"`
	Item  string `json:"item"`
	Field string `json:"field"`
	Form  string `json:"form"` // the reference's parameter: a one-time code is not its seed; empty is the value
}
