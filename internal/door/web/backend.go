package web

import (
	"context"

	"github.com/thumbturn/thumbturn/internal/canon"
)

// Backend is what the page shows and asks for. It decides; this package only
// carries. Errors are those of internal/fault; what they say is shown to a person.
// All methods may be called at once from several goroutines.
type Backend interface {
	// State is what the page shows. It never fails: a backend that knows nothing says "locked".
	State(ctx context.Context) State
	// Changed is closed at the next change of State. Asked for before State, it misses none.
	Changed() <-chan struct{}
	// Begin makes the challenge for what a person wants to do.
	Begin(ctx context.Context, want Want) (Ceremony, error)
	// Register gives the creation options of an enrolment that a person began at a terminal.
	Register(ctx context.Context, ticket string) (Registration, error)
	// Made takes the new passkey, and asks to use it once: what it cannot do shows now.
	Made(ctx context.Context, ticket string, m Made) (Ceremony, error)
	// Finish takes the assertions of a ceremony, one of each batch, and does what it was for.
	// Signatures are checked before anything sealed is opened.
	Finish(ctx context.Context, ceremony string, as []Assertion) (Outcome, error)
	// Refuse takes a no, or takes leave back. No gesture is needed to be refused something.
	Refuse(ctx context.Context, r Refusal) error
}

// The states of the vaults, as the page shows them. Any other is shown as locked.
const (
	Locked   = "locked"
	Unlocked = "unlocked"
	Held     = "held"  // a rollback or fork was detected
	Empty    = "empty" // no account yet
)

// State is everything that the page shows, at one moment.
type State struct {
	Version  uint64    `json:"version"` // differs from that of any earlier State; never 0
	State    string    `json:"state"`
	Mode     string    `json:"mode"` // system, user
	TestHome bool      `json:"test_home"`
	Requests []Request `json:"requests"` // those that wait, oldest first
	History  []Request `json:"history"`  // those that were answered, newest first
	Leases   []Lease   `json:"leases"`
	Muted    []Mute    `json:"muted"`
	Passkeys []Passkey `json:"passkeys"`
	Shut     bool      `json:"shut,omitempty"` // this page does not see all; the door says so
}

// Request is one request. What is shown of it the page reads from Raw, and from
// nothing else.
type Request struct {
	ID       string `json:"id"`
	Raw      []byte `json:"raw"`       // canonical bytes, as stored
	State    string `json:"state"`     // of internal/approve: pending, approved, denied ...
	Code     string `json:"code"`      // canon.ShortCode, as the asking program shows it; the page computes it too
	MaxLease int64  `json:"max_lease"` // milliseconds; 0 is no lease
	Why      string `json:"why"`       // why the policy asks a person
	Unlock   bool   `json:"-"`         // it waits for the vaults to be opened
}

// Lease is one that is in force.
type Lease struct {
	ID    string `json:"id"`
	Raw   []byte `json:"raw"`   // of the request it was given with
	Until int64  `json:"until"` // unix milliseconds
	Left  int    `json:"left"`  // uses
}

// Mute is one that is in force.
type Mute struct {
	ID      string `json:"id"`
	Raw     []byte `json:"raw"` // of the request that was denied with it
	Until   int64  `json:"until"`
	Refused int    `json:"refused"` // requests since
}

// Passkey is an enrolled authenticator.
type Passkey struct {
	Name   string `json:"name"`
	PRF    bool   `json:"prf"`    // it decrypts; else it signs only
	Synced bool   `json:"synced"` // its provider may copy it to other devices
}

// What a Want is for.
const (
	WantAnswer = "answer" // yes to requests
	WantUnlock = "unlock"
)

// Want is what a person is about to do with a passkey.
type Want struct {
	Kind     string   `json:"kind"`
	Requests []string `json:"requests,omitempty"` // ids, for an answer; 1 to canon.MaxAnswered
	Lease    *Leave   `json:"lease,omitempty"`    // one for each request, with the same end
	Ticket   string   `json:"-"`                  // what the person's link was made for, if it was made to unlock
}

// Leave is a lease as a person chooses it. The backend makes its end from For; the
// page does not sign an answer in which it is later than that.
type Leave struct {
	For  int64 `json:"for"` // milliseconds
	Uses int   `json:"uses"`
}

// Ceremony is one use of a passkey: for each batch of salts one assertion, all
// over the same challenge. Without a batch there is one assertion and no PRF.
type Ceremony struct {
	ID          string     `json:"id"`
	Challenge   canon.Hash `json:"challenge"`
	Raw         []byte     `json:"raw,omitempty"` // of an answer: the bytes whose digest the challenge is
	RPID        string     `json:"rp_id"`
	Credentials [][]byte   `json:"credentials"` // ids of those that may sign
	Salts       [][][]byte `json:"salts"`       // batches of one or two, 32 bytes each
	Key         []byte     `json:"key"`         // X25519 public key, 32 bytes, to which PRF outputs are sealed
	Text        string     `json:"text"`        // for the person; may be empty
}

// Assertion is a passkey's answer to one batch.
//
// Sealed is an HPKE message (RFC 9180, base mode; DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256, AES-256-GCM), enc || ct, of the PRF outputs of the batch one after
// the other. Its info is PRFInfo, its aad empty. It is empty if the authenticator
// gave none.
type Assertion struct {
	Batch             int    `json:"batch"` // from 0
	Credential        []byte `json:"credential"`
	AuthenticatorData []byte `json:"authenticator_data"`
	ClientData        []byte `json:"client_data"`
	Signature         []byte `json:"signature"`
	Sealed            []byte `json:"sealed"`
}

// PRFInfo is the info of the HPKE message that carries the PRF outputs of one
// batch: they count for this challenge and this place only.
func PRFInfo(challenge canon.Hash, batch int) []byte {
	return append(append([]byte("thumbturn/prf/v1\x00"), challenge[:]...), byte(batch))
}

// Registration is what a new passkey is made from.
type Registration struct {
	Challenge canon.Hash `json:"challenge"`
	RPID      string     `json:"rp_id"`
	User      []byte     `json:"user"`    // user handle, 1 to 64 bytes
	Account   string     `json:"account"` // as the authenticator lists it
	Name      string     `json:"name"`    // of the passkey, as the person chose it
	Exclude   [][]byte   `json:"exclude"` // credential ids of those that exist
	Salts     [][]byte   `json:"salts"`   // one or two
	Key       []byte     `json:"key"`     // as in a Ceremony
	Text      string     `json:"text"`    // for the person; may be empty
}

// Made is a new passkey.
type Made struct {
	Credential  []byte   `json:"credential"`
	ClientData  []byte   `json:"client_data"`
	Attestation []byte   `json:"attestation"` // attestation object
	Transports  []string `json:"transports"`  // the browser's word
	Sealed      []byte   `json:"sealed"`      // as in an Assertion of batch 0, if making it gave PRF outputs
}

// The outcomes of a ceremony.
const (
	OutcomeApproved = "approved"
	OutcomeSigned   = "signed" // and something else is missing; Text says what
	OutcomeOpened   = "opened" // the vaults, and not all is approved; Text says what becomes of that
	OutcomeUnlocked = "unlocked"
	OutcomeEnrolled = "enrolled"
)

// Outcome is what a ceremony came to.
type Outcome struct {
	State string `json:"state"`
	Text  string `json:"text"` // for the person; may be empty
	PRF   bool   `json:"decrypts"`
}

// What a Refusal does.
const (
	RefuseDeny   = "deny"   // a request that waits
	RefuseMute   = "mute"   // the same, and its session is not heard for a time
	RefuseEnd    = "end"    // a lease
	RefuseUnmute = "unmute" // takes a mute back
)

// Refusal is a person's no.
type Refusal struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	For  int64  `json:"for,omitempty"` // milliseconds, of a mute
}
