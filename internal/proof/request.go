package proof

import "encoding/json"

// The parts of spec/request.md, their members in order.
type (
	eventBody struct {
		V        int             `json:"v"`
		Type     string          `json:"type"`
		Time     int64           `json:"time"`
		TestHome bool            `json:"test_home,omitempty"`
		Request  string          `json:"request,omitempty"`
		Digest   *hash           `json:"digest,omitempty"`
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
	request struct {
		V         int      `json:"v"`
		ID        string   `json:"id"`
		Nonce     base     `json:"nonce"`
		Audience  string   `json:"aud"`
		Account   string   `json:"account"`
		TestHome  bool     `json:"test_home"`
		Action    string   `json:"action"`
		Caller    asker    `json:"caller"`
		Principal fact     `json:"principal"`
		Tenant    fact     `json:"tenant"`
		Purpose   fact     `json:"purpose"`
		Subjects  []wanted `json:"subjects"`
		Place     goal     `json:"place"`
		Change    hash     `json:"change"`
		Uses      int64    `json:"uses"`
		Policy    hash     `json:"policy"`
		Head      string   `json:"head"`
		Issued    int64    `json:"issued"`
		Expires   int64    `json:"expires"`
	}
	asker struct {
		Kind  string `json:"kind"`
		Label string `json:"label"`
		Root  string `json:"root"`
		UID   int64  `json:"uid"`
	}
	fact struct {
		Value   string `json:"value"`
		Derived bool   `json:"derived"`
	}
	wanted struct {
		Ref      string `json:"ref"`
		Vault    string `json:"vault"`
		Item     string `json:"item"`
		Field    string `json:"field"`
		Revision int64  `json:"revision"`
		Record   hash   `json:"record"`
		Binding  hash   `json:"binding"`
		Writer   string `json:"writer"`
		Tier     string `json:"tier"`
	}
	goal struct {
		Sink    string   `json:"sink"`
		Grade   string   `json:"grade"`
		Program string   `json:"program"`
		Argv    hash     `json:"argv"`
		Shown   []string `json:"shown"`
		Dir     string   `json:"dir"`
		Names   []string `json:"names"`
		Image   *image   `json:"image,omitempty"`
	}
	image struct {
		Hash        string `json:"hash"`
		File        string `json:"file"`
		Interpreter string `json:"interpreter"`
		IntHash     string `json:"interpreter_hash"`
		IntFile     string `json:"interpreter_file"`
	}
	evidence struct {
		Digest    hash       `json:"digest"`
		Tier      string     `json:"tier"`
		Source    string     `json:"source"`
		Time      int64      `json:"time"`
		Lease     *terms     `json:"lease,omitempty"`
		Assertion *signature `json:"assertion,omitempty"`
	}
	terms struct {
		Until int64 `json:"until"`
		Uses  int64 `json:"uses"`
	}
	signature struct {
		Credential        base `json:"credential"`
		Answer            base `json:"answer"`
		AuthenticatorData base `json:"authenticator_data"`
		ClientData        base `json:"client_data"`
		Signature         base `json:"signature"`
	}
	answer struct {
		V        int    `json:"v"`
		Audience string `json:"aud"`
		Requests []hash `json:"requests"`
		Lease    *terms `json:"lease,omitempty"`
	}
)

// maxAnswered bounds the requests of one answer.
const maxAnswered = 8

// sound reports whether an answer says yes to something, to each once, in rising
// order, and gives no lease without an end.
func (a answer) sound() bool {
	n := len(a.Requests)
	ok := a.V == 1 && n >= 1 && n <= maxAnswered && (a.Lease == nil || n == 1 && a.Lease.Until >= 1 && a.Lease.Uses >= 1)
	for i := 1; ok && i < n; i++ {
		ok = string(a.Requests[i-1][:]) < string(a.Requests[i][:])
	}
	return ok
}

// signedTier says of a tier whether its gesture is a passkey's signature.
func signedTier(tier string) (signed, known bool) {
	switch tier {
	case "passkey", "passkey-signs":
		return true, true
	case "pin", "presence-passphrase":
		return false, true
	}
	return false, false
}

func knownSource(s string) bool { return s == "page" || s == "terminal" || s == "file" }

func equalTerms(a, b *terms) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
