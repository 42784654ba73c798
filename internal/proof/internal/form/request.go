package form

import "encoding/json"

// The parts of spec/request.md, their members in order.
type (
	// Event is the body of an event.
	Event struct {
		V        int             `json:"v"`
		Type     string          `json:"type"`
		Time     int64           `json:"time"`
		TestHome bool            `json:"test_home,omitempty"`
		Request  string          `json:"request,omitempty"`
		Digest   *Hash           `json:"digest,omitempty"`
		Action   string          `json:"action,omitempty"`
		Outcome  string          `json:"outcome,omitempty"`
		Kind     string          `json:"kind,omitempty"`
		Agent    string          `json:"agent,omitempty"`
		Root     string          `json:"root,omitempty"`
		Refs     []string        `json:"refs,omitempty"`
		Vaults   []string        `json:"vaults,omitempty"`
		Items    []string        `json:"items,omitempty"`
		Rules    []string        `json:"rules,omitempty"`
		Intent   int64           `json:"intent,omitempty"`
		Reason   string          `json:"reason,omitempty"`
		Uses     int64           `json:"uses,omitempty"`
		Grant    string          `json:"grant,omitempty"`
		Lease    string          `json:"lease,omitempty"`
		Proof    json.RawMessage `json:"proof,omitempty"`
		Raw      json.RawMessage `json:"raw,omitempty"`
		Evidence json.RawMessage `json:"evidence,omitempty"`
	}
	// Request is what a person approves.
	Request struct {
		V         int       `json:"v"`
		ID        string    `json:"id"`
		Nonce     Base      `json:"nonce"`
		Audience  string    `json:"aud"`
		Account   string    `json:"account"`
		TestHome  bool      `json:"test_home"`
		Action    string    `json:"action"`
		Caller    Asker     `json:"caller"`
		Principal Fact      `json:"principal"`
		Tenant    Fact      `json:"tenant"`
		Purpose   Fact      `json:"purpose"`
		Subjects  []Subject `json:"subjects"`
		Place     Place     `json:"place"`
		Change    Hash      `json:"change"`
		Project   *Project  `json:"project,omitempty"`
		Uses      int64     `json:"uses"`
		Policy    Hash      `json:"policy"`
		Head      string    `json:"head"`
		Issued    int64     `json:"issued"`
		Expires   int64     `json:"expires"`
		Unlock    bool      `json:"unlock,omitempty"`
	}
	// Asker is who asks.
	Asker struct {
		Kind  string `json:"kind"`
		Label string `json:"label"`
		Root  string `json:"root"`
		UID   int64  `json:"uid"`
	}
	// Fact is a text, and whether the daemon derived it.
	Fact struct {
		Value   string `json:"value"`
		Derived bool   `json:"derived"`
	}
	// Subject is one value that a request names.
	Subject struct {
		Ref      string `json:"ref"`
		Vault    string `json:"vault"`
		Item     string `json:"item"`
		Field    string `json:"field"`
		Revision int64  `json:"revision"`
		Record   Hash   `json:"record"`
		Binding  Hash   `json:"binding"`
		Writer   string `json:"writer"`
		Tier     string `json:"tier"`

		Addresses string `json:"addresses,omitempty"`
	}
	// Place is where values go.
	Place struct {
		Sink    string   `json:"sink"`
		Grade   string   `json:"grade"`
		Program string   `json:"program"`
		Argv    Hash     `json:"argv"`
		Shown   []string `json:"shown"`
		Dir     string   `json:"dir"`
		Names   []string `json:"names"`
		Image   *Image   `json:"image,omitempty"`
		Free    bool     `json:"free,omitempty"`
	}
	// Project is the file of which a request is a task.
	Project struct {
		File   string   `json:"file"`
		Task   string   `json:"task"`
		Hash   Hash     `json:"hash"`
		Before Hash     `json:"before"`
		Diff   []string `json:"diff,omitempty"`
	}
	// Image is a program's content.
	Image struct {
		Hash        string `json:"hash"`
		File        string `json:"file"`
		Interpreter string `json:"interpreter"`
		IntHash     string `json:"interpreter_hash"`
		IntFile     string `json:"interpreter_file"`
	}
	// Evidence is what the ledger keeps of a gesture.
	Evidence struct {
		Digest    Hash    `json:"digest"`
		Tier      string  `json:"tier"`
		Source    string  `json:"source"`
		Time      int64   `json:"time"`
		Lease     *Terms  `json:"lease,omitempty"`
		Assertion *Signed `json:"assertion,omitempty"`
	}
	// Terms are those of a lease.
	Terms struct {
		Until int64 `json:"until"`
		Uses  int64 `json:"uses"`
	}
	// Signed is a passkey's signature over an answer.
	Signed struct {
		Credential        Base `json:"credential"`
		Answer            Base `json:"answer"`
		AuthenticatorData Base `json:"authenticator_data"`
		ClientData        Base `json:"client_data"`
		Signature         Base `json:"signature"`
	}
	// Authenticator is a passkey as a roster names it.
	Authenticator struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Credential Base   `json:"credential"`
		Public     Base   `json:"public"`
		RPID       string `json:"rp_id"`
		Origin     string `json:"origin"`
		PRF        bool   `json:"prf"`
		Synced     bool   `json:"synced"`
		AAGUID     Base   `json:"aaguid"`
		Created    int64  `json:"created"`
	}
	// Answer is what a passkey signs.
	Answer struct {
		V        int    `json:"v"`
		Audience string `json:"aud"`
		Requests []Hash `json:"requests"`
		Lease    *Terms `json:"lease,omitempty"`
	}
)

// ByName is the request as it was asked while the vaults were locked, when nothing was
// known of its subjects but their references; false where it was asked otherwise.
func (r Request) ByName() (raw []byte, ok bool) {
	if !r.Unlock {
		return nil, false
	}
	names := make([]Subject, len(r.Subjects))
	for i, s := range r.Subjects {
		names[i].Ref = s.Ref
	}
	r.Subjects = names
	raw, err := json.Marshal(r)
	return raw, err == nil
}

// maxAnswered bounds the requests of one answer.
const maxAnswered = 8

// Sound reports whether an answer says yes to something, to each once, in rising
// order, and gives no lease without an end.
func (a Answer) Sound() bool {
	n := len(a.Requests)
	ok := a.V == 1 && n >= 1 && n <= maxAnswered && (a.Lease == nil || a.Lease.Until >= 1 && a.Lease.Uses >= 1)
	for i := 1; ok && i < n; i++ {
		ok = string(a.Requests[i-1][:]) < string(a.Requests[i][:])
	}
	return ok
}

// Known reports whether tier and source are words of the format, and whether the
// tier's gesture is a passkey's signature.
func (e Evidence) Known() (signed, known bool) {
	switch e.Source {
	case "page", "terminal", "file":
	default:
		return false, false
	}
	switch e.Tier {
	case "passkey", "passkey-signs":
		return true, true
	case "pin", "presence-passphrase":
		return false, true
	}
	return false, false
}

// Equal reports whether two leases are the same, or both none.
func (t *Terms) Equal(o *Terms) bool { return t == nil && o == nil || t != nil && o != nil && *t == *o }
