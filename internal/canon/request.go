package canon

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Grade says what a sink lets the caller do with a value.
type Grade string

// The grades, mildest first. The zero Grade is refused.
const (
	GradeUse    Grade = "use"    // the caller cannot read it
	GradeHold   Grade = "hold"   // a child of the caller's own user holds it
	GradeReveal Grade = "reveal" // the caller gets the bytes
	GradeNone   Grade = "none"   // no value moves: an administrative act
)

// Fact is a text with its origin: Derived facts the broker established itself,
// the others are claims.
type Fact struct {
	Value   string `json:"value"`
	Derived bool   `json:"derived"`
}

// Subject is one sealed value that a request names, pinned to its revision.
type Subject struct {
	Ref      string `json:"ref"` // as it will be shown: op://vault/item/field
	Vault    string `json:"vault"`
	Item     string `json:"item"`
	Field    string `json:"field"`
	Revision int64  `json:"revision"`
	Record   Hash   `json:"record"`
	Binding  Hash   `json:"binding"`
	Writer   string `json:"writer"` // who changed the item last
	Tier     Tier   `json:"tier"`

	// Addresses are the item's, as package function Addresses gives them.
	Addresses string `json:"addresses,omitempty"`
}

// Asker is the signed part of a caller: the root of its session, not the
// process that happens to ask, so that a later process of the same session can
// come back for the answer.
type Asker struct {
	Kind  string `json:"kind"`  // person, agent, service
	Label string `json:"label"` // a known agent's name; only a label
	Root  string `json:"root"`  // pid, start time and boot id of the session root
	UID   int    `json:"uid"`
}

// Place is where values go, or what an administrative act changes.
type Place struct {
	Sink    string   `json:"sink"` // handoff, reveal, vault, statement
	Grade   Grade    `json:"grade"`
	Program string   `json:"program"` // resolved path, as the caller's CLI reports it
	Argv    Hash     `json:"argv"`    // digest of the whole argument list
	Shown   []string `json:"shown"`   // the argument list as shown: escaped, secrets replaced
	Dir     string   `json:"dir"`
	Names   []string `json:"names"`           // environment names, or the changed thing's lines
	Image   *Image   `json:"image,omitempty"` // of the program, where it was hashed
	Free    bool     `json:"free,omitempty"`  // arguments behind these are whoever asks to choose, at each use
}

// Image is a program's content, as the caller's CLI reports it.
type Image struct {
	Hash        string `json:"hash"`        // SHA-256, hex
	File        string `json:"file"`        // "device:inode"; empty where the system has none
	Interpreter string `json:"interpreter"` // path; empty unless the program is a script
	IntHash     string `json:"interpreter_hash"`
	IntFile     string `json:"interpreter_file"`
}

// Exact reports whether it is of one file, and of one interpreter if it has one:
// then no other file, and no other content, gives an equal Image.
func (i *Image) Exact() bool {
	switch {
	case i == nil || !isSum(i.Hash) || i.File == "":
		return false
	case i.Interpreter == "":
		return i.IntHash == "" && i.IntFile == ""
	}
	return isSum(i.IntHash) && i.IntFile != ""
}

func isSum(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// Request is what a human approves and what a Permit is for. Its bytes are
// stored, shown and hashed as they are; see spec/request.md.
type Request struct {
	V         int       `json:"v"`
	ID        string    `json:"id"`
	Nonce     Bytes     `json:"nonce"` // 32 random bytes of the daemon
	Audience  string    `json:"aud"`   // the device id
	Account   string    `json:"account"`
	TestHome  bool      `json:"test_home"`
	Action    string    `json:"action"` // hold, reveal, vault-create, policy-apply ...
	Caller    Asker     `json:"caller"`
	Principal Fact      `json:"principal"`
	Tenant    Fact      `json:"tenant"`
	Purpose   Fact      `json:"purpose"`
	Subjects  []Subject `json:"subjects"`
	Place     Place     `json:"place"`
	Change    Hash      `json:"change"` // digest of an administrative act's content
	Project   *Project  `json:"project,omitempty"`
	Uses      int       `json:"uses"`
	Policy    Hash      `json:"policy"`
	Head      string    `json:"head"` // the ledger's signed head text
	Issued    int64     `json:"issued"`
	Expires   int64     `json:"expires"` // unix milliseconds
	// Unlock says that this was asked while the vaults were locked, by names alone: its
	// approval opens the vaults too. See ByName.
	Unlock bool `json:"unlock,omitempty"`
}

// ByName is a request as it was asked, shown and signed while the vaults were locked:
// of each subject nothing was known but the reference that the caller gave. The head
// in it says of what ledger the names are, and so what they come to.
func (r Request) ByName() Request {
	names := make([]Subject, len(r.Subjects))
	for i, s := range r.Subjects {
		names[i] = Subject{Ref: s.Ref}
	}
	r.Subjects = names
	return r
}

// Resolved reports whether every subject is a value: what is asked by names alone
// opens nothing.
func (r Request) Resolved() bool {
	return !slices.ContainsFunc(r.Subjects, func(s Subject) bool { return s.Record == Hash{} || s.Vault == "" || s.Item == "" })
}

// Check refuses a request that lacks what makes it one.
func (r Request) Check() error {
	switch {
	case r.V != 1:
		return errors.New("canon: unknown request version")
	case !IsID(r.ID) || len(r.Nonce) != 32:
		return errors.New("canon: a request needs an id and a nonce of 32 bytes")
	case r.Caller.Kind == "" || r.Action == "" || r.Place.Grade == "":
		return errors.New("canon: a request needs caller, action and grade")
	case r.Expires <= r.Issued || r.Uses < 1:
		return errors.New("canon: a request needs a life and at least one use")
	case r.Project != nil && !r.Project.whole():
		return errors.New("canon: a request of a project's file needs the file, its task, and all of what changed")
	}
	return nil
}

// RequestDigest is what is approved: SHA-256 of the domain and the stored bytes.
func RequestDigest(raw []byte) Hash { return Digest(DomainRequest, raw) }

// ArgvDigest hashes an argument list without ambiguity.
func ArgvDigest(argv []string) Hash { return Digest(DomainArgv, Tuple(argv...)) }

// SameRecords reports whether two lists of subjects are of the same sealed
// values, with the same bindings, asked for in the same form.
func SameRecords(a, b []Subject) bool {
	return slices.EqualFunc(a, b, func(x, y Subject) bool { return x.Record == y.Record && x.Binding == y.Binding && x.Ref == y.Ref })
}

// Refs says in few words what a list of subjects is.
func Refs(subjects []Subject) string {
	switch len(subjects) {
	case 0:
		return ""
	case 1:
		return subjects[0].Ref
	}
	return subjects[0].Ref + " and " + strconv.Itoa(len(subjects)-1) + " more"
}

// PresenceVaults lists the guarded vaults of a list of subjects, each once.
func PresenceVaults(subjects []Subject) []string {
	var out []string
	for _, s := range subjects {
		if s.Tier != TierStandard && !slices.Contains(out, s.Vault) {
			out = append(out, s.Vault)
		}
	}
	slices.Sort(out)
	return out
}
