package api

// Op names what a request asks for.
type Op string

// The operations. "values" tells which value frames go with the message.
const (
	OpHello      Op = "hello"
	OpStatus     Op = "status"
	OpInit       Op = "init"            // values: unlock, presence passphrase; reply value: recovery code
	OpUnlock     Op = "unlock"          // value: unlock passphrase
	OpLock       Op = "lock"            //
	OpUnlockPage Op = "unlock.page"     // Auth; Waiting with a URL comes first
	OpLockAfter  Op = "lock.after"      // LockAfter
	OpRecover    Op = "recover"         // values: recovery code, new unlock, new presence passphrase; reply value: new code
	OpPassphrase Op = "passphrase"      // values: presence passphrase, old, new
	OpRecovery   Op = "recovery.rotate" // value: presence passphrase; reply value: new recovery code
	OpWhoami     Op = "whoami"

	OpVaultCreate Op = "vault.create"
	OpVaultEdit   Op = "vault.edit"
	OpVaultList   Op = "vault.list"
	OpItemPut     Op = "item.put" // values, streams: one for each Field with Value, with Stream true, in order
	OpItemGet     Op = "item.get"
	OpItemList    Op = "item.list" // streamed
	OpItemDelete  Op = "item.delete"
	OpItemArchive Op = "item.archive" // Archived true brings it back
	OpItemMove    Op = "item.move"
	OpItemHistory Op = "item.history"
	OpItemRevert  Op = "item.revert"
	OpItemDecide  Op = "item.decide"

	OpGrantCreate Op = "grant.create"
	OpGrantList   Op = "grant.list"
	OpGrantRevoke Op = "grant.revoke"
	OpItemPurge   Op = "item.purge" // of a deleted item

	OpRelease Op = "release" // reply values: one for each Want.Refs, in order; or one stream, see Want.Stream

	OpRequests   Op = "request.list"
	OpRequest    Op = "request.get"
	OpApprove    Op = "request.approve" // value: presence passphrase
	OpDeny       Op = "request.deny"
	OpPage       Op = "page"           // reply PageURL
	OpPasskeyAdd Op = "passkey.add"    // PasskeyAdd; values: presence passphrase, recovery code; reply PasskeyBegun
	OpPasskeyEnd Op = "passkey.wait"   // RequestID of the enrolment; reply Passkey, once the page is done
	OpPasskeys   Op = "passkey.list"   // reply []Passkey
	OpPasskeyDel Op = "passkey.remove" // PasskeyRemove; value: presence passphrase
	OpPINSet     Op = "pin.set"        // Auth; values: what Auth says, new PIN
	OpPINRemove  Op = "pin.remove"     // Auth; value: what Auth says
	OpPIN        Op = "pin.status"     // reply PIN; served in every state
	OpUnmute     Op = "request.unmute"

	OpAuditList   Op = "audit.list"   // streamed
	OpAuditVerify Op = "audit.verify" //
	OpAuditExport Op = "audit.export" // streamed, one reply body per line of the export
	OpAuditAnchor Op = "audit.anchor" //
	OpAuditProof  Op = "audit.proof"  //
	OpRestore     Op = "restore"      // value: presence passphrase

	OpBackup  Op = "backup"       // streamed: the bytes of a backup
	OpPutBack Op = "restore.from" // values: presence passphrase, the pieces of a backup; these may be streams

	OpRecoverFrom Op = "recover.from"  // values: recovery code, new unlock, new presence, the pieces; reply value: new code
	OpDeviceShow  Op = "device.show"   // what a ledger is moved to
	OpDeviceMove  Op = "device.move"   // value: presence passphrase
	OpDeviceStay  Op = "device.stay"   // value: presence passphrase
	OpDeviceTake  Op = "device.accept" // values: the pieces of what was moved here

	OpPolicyShow  Op = "policy.show"
	OpPolicyApply Op = "policy.apply"

	OpStop Op = "daemon.stop"
)

// States of the daemon.
const (
	StateEmpty    = "empty"
	StateHeld     = "held"
	StateLocked   = "locked"
	StateUnlocked = "unlocked"
)

// Hello opens every connection. The client checks Signature, made by the device
// key over the nonce, against the device's public key file before it sends
// anything else.
type Hello struct {
	Nonce []byte `json:"nonce"`
}

// HelloReply answers a Hello.
type HelloReply struct {
	Version   string `json:"version"`
	Protocol  int    `json:"protocol"`
	Device    string `json:"device"`    // empty while the home is empty
	Signature []byte `json:"signature"` // empty while the home is empty
	State     string `json:"state"`
	PID       int    `json:"pid"`
}

// Status is what `thumbturn status` shows.
type Status struct {
	State      string `json:"state"`
	Mode       string `json:"mode"` // user or system
	Version    string `json:"version"`
	TestHome   bool   `json:"test_home"`
	Account    string `json:"account,omitempty"`
	Device     string `json:"device,omitempty"`
	Root       string `json:"root,omitempty"` // root key fingerprint
	PID        int    `json:"pid"`
	Started    int64  `json:"started"`
	StartedBy  string `json:"started_by"`
	Home       string `json:"home"`
	Statements int64  `json:"statements"`
	Events     int64  `json:"events"`
	Head       string `json:"head,omitempty"`
	Held       string `json:"held,omitempty"` // what was detected
	*Counts
	Pending     int      `json:"pending"`
	MemoryLock  bool     `json:"memory_lock"`
	PolicyDraft string   `json:"policy_draft,omitempty"` // "differs" when the file is not what is applied
	Locks       AutoLock `json:"locks"`
	Approval    Approval `json:"approval"`
	Warnings    []string `json:"warnings,omitempty"`
}

// Approval says by what a person approves. While locked it is known only once the
// account was loaded.
type Approval struct {
	Page       string `json:"page,omitempty"` // where the approval page is
	Why        string `json:"why,omitempty"`  // why there is none
	Desktop    string `json:"desktop"`        // whether it is told of requests, or why not
	Passkeys   int    `json:"passkeys"`
	Passphrase bool   `json:"passphrase"`       // the presence passphrase approves too
	PIN        bool   `json:"pin"`              // and the PIN of this device's TPM
	Finger     bool   `json:"finger,omitempty"` // what is typed takes a finger beside it
}

// PIN is how things are with the PIN and the TPM.
type PIN struct {
	Known bool `json:"known"` // whether it is set: while locked only once the account was loaded
	Set   bool `json:"set"`
	Here  bool `json:"here"` // it was set on this device, and can be typed
	TPM   TPM  `json:"tpm"`
}

// TPM is what the device's TPM says of itself. It counts wrong PINs together with the
// wrong authorizations of all its other users.
type TPM struct {
	Why      string `json:"why,omitempty"`  // why there is none; all else is empty then
	Hint     string `json:"hint,omitempty"` // what to do about it
	Maker    string `json:"maker,omitempty"`
	Failures int64  `json:"failures"`
	Limit    int64  `json:"limit"`             // at which it refuses all
	Left     int64  `json:"left"`              // tries
	Forgets  int64  `json:"forgets,omitempty"` // milliseconds after which it counts one failure less
	Locked   bool   `json:"locked"`            // it refuses all now
}

// PasskeyAdd begins the enrolment of a passkey. Values: the presence passphrase and
// the recovery code; each may be empty.
type PasskeyAdd struct {
	Auth
	Name string `json:"name"`
}

// PasskeyBegun is an enrolment that the page at URL finishes.
type PasskeyBegun struct {
	ID  string `json:"id"`
	URL string `json:"url"` // works once
}

// Passkey is a passkey as it is listed.
type Passkey struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Decrypts bool     `json:"decrypts"` // else it signs only, and the presence passphrase decrypts
	Synced   bool     `json:"synced"`   // its provider may copy it to other devices
	Created  int64    `json:"created"`
	Opens    []string `json:"opens,omitempty"` // what it opens: session, account and names of presence vaults
	// PassphraseEnded says, of one just added, that the presence passphrase is gone.
	PassphraseEnded bool `json:"passphrase_ended,omitempty"`
}

// PasskeyRemove takes a passkey away. Value: the presence passphrase, which may be
// empty where passkeys approve.
type PasskeyRemove struct {
	Auth
	Name string `json:"name"` // or id
}

// PageURL is the approval page, for one use by the person who asked.
type PageURL struct {
	URL string `json:"url"`
}

// AutoLock says when the vaults lock by themselves.
type AutoLock struct {
	After int64    `json:"after"`         // milliseconds unused; 0 is never
	On    []string `json:"on,omitempty"`  // what else locks them: suspend, screen lock, logout
	Why   string   `json:"why,omitempty"` // why nothing else does, or not as it should
}

// LockAfter chooses how long the vaults may stay open unused.
type LockAfter struct {
	After int64 `json:"after"` // milliseconds; 0 is for ever
}

// Counts are known, and not nil in a Status, while the vaults are unlocked.
type Counts struct {
	Vaults int `json:"vaults"`
	Items  int `json:"items"`
}

// Init makes an account.
type Init struct {
	Auth
	TestHome bool `json:"test_home"`
}

// Passphrase changes one of the two passphrases.
type Passphrase struct {
	Auth
	Which  string `json:"which"`            // unlock or presence
	Source string `json:"source,omitempty"` // see Auth
}

// Auth says how a passphrase was entered; the ledger records it. "file" is
// accepted in test homes only.
type Auth struct {
	Source string `json:"source"` // terminal or file
	// Kind is what was typed where the value is a presence passphrase otherwise: TypedPIN,
	// or nothing for the passphrase.
	Kind string `json:"kind,omitempty"`
}

// TypedPIN is the Kind of a PIN of this device's TPM.
const TypedPIN = "pin"

// Whoami describes the caller as the daemon sees it.
type Whoami struct {
	Kind       string   `json:"kind"`
	Label      string   `json:"label,omitempty"`
	Why        string   `json:"why"`
	Root       string   `json:"root"`
	UID        int      `json:"uid"`
	Terminal   string   `json:"terminal,omitempty"`
	Unlocked   bool     `json:"unlocked_here"`
	UnderAgent string   `json:"under_agent,omitempty"`
	Chain      []string `json:"chain"`
}

// Vault describes a vault.
type Vault struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Tier  string `json:"tier,omitempty"` // this and what follows: not in lists of items
	Items int    `json:"items,omitempty"`
	Epoch int64  `json:"epoch,omitempty"`
	// MinApproval is the weakest gesture that opens it: unlock, presence-passphrase,
	// pin or passkey.
	MinApproval string `json:"min_approval,omitempty"`
}

// Ask is common to what may need a person: how to wait, and which earlier
// request this comes back for.
type Ask struct {
	NoWait  bool   `json:"no_wait,omitempty"`
	Request string `json:"request,omitempty"`
	Purpose string `json:"purpose,omitempty"` // a claim: ticket id or reason
	Timeout int64  `json:"timeout_ms,omitempty"`
}

// VaultCreate makes a vault. Without a MinApproval it is the tier's own.
type VaultCreate struct {
	Ask
	Name        string `json:"name"`
	Tier        string `json:"tier"`
	MinApproval string `json:"min_approval,omitempty"`
}

// VaultEdit changes what a vault takes.
type VaultEdit struct {
	Ask
	Vault       string `json:"vault"`
	MinApproval string `json:"min_approval"`
}

// Field is a field of an item. In requests, Value says that a value frame
// follows for it; a concealed field's value never stands in Text.
type Field struct {
	ID        string `json:"id,omitempty"`
	Section   string `json:"section,omitempty"`
	Label     string `json:"label"`
	Type      string `json:"type"`              // CONCEALED, STRING, URL, EMAIL ...
	Purpose   string `json:"purpose,omitempty"` // USERNAME, PASSWORD, NOTES
	Concealed bool   `json:"concealed"`
	Text      string `json:"text,omitempty"`
	Value     bool   `json:"value,omitempty"`
	Stream    bool   `json:"stream,omitempty"` // in requests: the value comes as a stream
	Delete    bool   `json:"delete,omitempty"`
	Pending   bool   `json:"pending,omitempty"`
	Size      int64  `json:"size,omitempty"` // of the value, in bytes
	Reference string `json:"reference,omitempty"`
	Revision  int64  `json:"revision,omitempty"`
}

// Item is an item without its concealed values.
type Item struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Version  int64    `json:"version"`
	Vault    Vault    `json:"vault"`
	Category string   `json:"category"`
	Tags     []string `json:"tags,omitempty"`
	URLs     []string `json:"urls,omitempty"`
	Editor   string   `json:"last_edited_by,omitempty"`
	Created  int64    `json:"created_at"`
	Updated  int64    `json:"updated_at"`
	Expires  int64    `json:"expires_at,omitempty"` // unix milliseconds
	Archived bool     `json:"archived,omitempty"`
	Pending  bool     `json:"pending,omitempty"` // a proposed value waits
	Fields   []Field  `json:"fields,omitempty"`
}

// ItemPut creates or changes an item. Mode is "create" (refused when the title
// exists), "edit" (refused when it does not) or "set" (either).
type ItemPut struct {
	Ask
	Mode     string   `json:"mode"`
	Vault    string   `json:"vault"`
	Item     string   `json:"item"` // id or title; with create, the title
	Title    string   `json:"title,omitempty"`
	Category string   `json:"category,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	URLs     []string `json:"urls,omitempty"`
	Expires  *int64   `json:"expires,omitempty"` // unix milliseconds, 0 for never; absent keeps it
	Fields   []Field  `json:"fields"`
}

// ItemPutReply tells what became of a write. Proposed is true when the value
// waits for a person to activate it.
type ItemPutReply struct {
	Item     Item `json:"item"`
	Proposed bool `json:"proposed"`
}

// ItemGet asks for an item's metadata, or for what is done to it as a whole.
type ItemGet struct {
	Ask
	Vault    string `json:"vault"`
	Item     string `json:"item"`
	Archived bool   `json:"archived,omitempty"` // look into the archive too
}

// Purged tells how many blobs of an item were erased.
type Purged struct {
	Erased int    `json:"erased"`
	Beside string `json:"beside,omitempty"` // the database that a restore took the place of: it was left alone
}

// ItemList filters a list; an empty Vault means all.
type ItemList struct {
	Vault    string `json:"vault,omitempty"`
	Archived bool   `json:"archived,omitempty"` // those in the archive instead
}

// ItemDecide answers a proposal. Field is an id or a label; empty means all that
// waits in the item.
type ItemDecide struct {
	ItemGet
	Field  string `json:"field,omitempty"`
	Accept bool   `json:"accept"`
}

// ItemRevert goes back to a revision.
type ItemRevert struct {
	ItemGet
	Revision int64 `json:"revision"`
}

// ItemMove moves an item to another vault.
type ItemMove struct {
	ItemGet
	To string `json:"to"`
}

// Revision is one revision of an item's past.
type Revision struct {
	Item
	Current bool `json:"current"`
}

// Want asks for a release.
type Want struct {
	Ask
	Sink    string   `json:"sink"`            // handoff or reveal
	Refs    []string `json:"refs"`            // concrete references, each once
	Names   []string `json:"names,omitempty"` // environment names the values go into
	Program Program  `json:"program"`
	Agent   bool     `json:"agent,omitempty"`  // the program is a known agent
	Stream  bool     `json:"stream,omitempty"` // reveal of one reference: a value over MaxValue may come as a stream
	// Reserve asks for a lease and delivers nothing: the reply has no values.
	Reserve bool `json:"reserve,omitempty"`
	// Project, with Reserve, says which project's file names what is asked for.
	Project *Project `json:"project,omitempty"`
}

// Project is a project's file, and a task of it.
type Project struct {
	File string `json:"file"` // its path
	Task string `json:"task"`
	Text []byte `json:"text"` // all of it: 64 KiB at most
}

// Send asks, with More, for the parts of a request's next stream: the daemon has
// checked what it can before it takes them.
type Send struct {
	Send int `json:"send"` // which one, counted from 1
}

// Program is what the CLI is about to execute, as it reports it.
type Program struct {
	Path        string   `json:"path,omitempty"`
	Hash        string   `json:"hash,omitempty"` // SHA-256, hex
	Interpreter string   `json:"interpreter,omitempty"`
	IntHash     string   `json:"interpreter_hash,omitempty"`
	File        string   `json:"file,omitempty"` // "device:inode" of the program and of its interpreter
	IntFile     string   `json:"interpreter_file,omitempty"`
	Argv        []string `json:"argv,omitempty"`
	Dir         string   `json:"dir,omitempty"`
	Writable    bool     `json:"writable,omitempty"` // by the caller
	// Free says that arguments behind those of Argv are whoever asks to choose: a
	// task's of a project's file that says so.
	Free bool `json:"free,omitempty"`
}

// Reserved is what a Want with Reserve comes to. Without a request nobody had to be
// asked: it is allowed already.
type Reserved struct {
	Request string `json:"request,omitempty"` // the lease's id
	Until   int64  `json:"until,omitempty"`
	Left    int    `json:"left,omitempty"` // uses
}

// Released describes the values that follow.
type Released struct {
	Request string `json:"request,omitempty"`
	Receipt int64  `json:"receipt"` // index of the intent in the ledger
}

// Waiting is sent, with More, while a person is awaited.
type Waiting struct {
	Request string `json:"request"`
	Code    string `json:"code"` // the same short code the approver sees
	Expires int64  `json:"expires"`
	Why     string `json:"why"`
	URL     string `json:"url,omitempty"` // the page, where there is one
	// Finger is what to do at the fingerprint reader. The other members are empty
	// then: it is for whoever just typed a passphrase or PIN, and no request.
	Finger string `json:"finger,omitempty"`
}

// Lease is leave for more uses, given with an approval.
type Lease struct {
	Until int64 `json:"until"` // unix milliseconds
	Uses  int   `json:"uses"`
}

// AuditFilter selects events; empty fields select all. Times are unix
// milliseconds. Vault is a name or id, Item a title or id; the id also of one that
// is deleted. Principal, Tenant and Purpose are those of an event's request. An
// event that tells only the request's id is selected where an earlier one (from
// From on) told the request and was selected.
type AuditFilter struct {
	Caller    string `json:"caller,omitempty"` // kind
	Agent     string `json:"agent,omitempty"`
	Vault     string `json:"vault,omitempty"`
	Item      string `json:"item,omitempty"`
	Principal string `json:"principal,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	Purpose   string `json:"purpose,omitempty"`
	Since     int64  `json:"since,omitempty"`
	Until     int64  `json:"until,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Type      string `json:"type,omitempty"`
	From      int64  `json:"from,omitempty"`
	Limit     int    `json:"limit,omitempty"`
}

// Event is one line of the ledger as shown: index, and the event's own JSON
// (spec/ledger.md).
type Event struct {
	N    int64  `json:"n"`
	Leaf string `json:"leaf"`
	Body []byte `json:"body"`
}

// Verified is the result of checking the whole ledger.
type Verified struct {
	Statements int64    `json:"statements"`
	Events     int64    `json:"events"`
	Blobs      int64    `json:"blobs"`
	Root       string   `json:"root"`
	Head       string   `json:"head"`
	Problems   []string `json:"problems,omitempty"`
}

// Anchor is a signed head to keep elsewhere, and the proof material for one
// receipt when asked for.
type Anchor struct {
	Head string `json:"head"`
}

// AuditProof asks for the proof of one receipt.
type AuditProof struct {
	Receipt int64 `json:"receipt"`
}

// Line is one line of an export.
type Line struct {
	Line []byte `json:"line"`
}

// Chunk is the next piece of a file.
type Chunk struct {
	Bytes []byte `json:"bytes"`
}

// Restored tells what a restore accepted.
type Restored struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Installation is the public half of a device, and the code by which a person
// recognises it.
type Installation struct {
	ID        string `json:"id"`
	DeviceKey []byte `json:"device_key"` // Ed25519
	DeviceKEM []byte `json:"device_kem"` // MLKEM768X25519
	Code      string `json:"code,omitempty"`
}

// DeviceMove says which device the ledger goes to.
type DeviceMove struct {
	Auth
	To Installation `json:"to"`
}

// Policy is a policy text and its hash.
type Policy struct {
	Text  string `json:"text"`
	Hash  string `json:"hash"`
	Draft string `json:"draft,omitempty"`
}

// PolicyApply makes a text the policy in force.
type PolicyApply struct {
	Ask
	Text string `json:"text"`
}
