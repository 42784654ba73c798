// Package fault is the closed list of ways an operation can fail.
//
// An error names a kind, an operation and a reference; it never carries a
// value, and never a path inside somebody else's vault. What a stranger may be
// told is less than what the ledger records: see Stranger.
package fault

import (
	"errors"
	"strings"
)

// Kind is a class of failure. The strings cross the socket, so they are frozen:
// add, never rename. The zero Kind is Internal, so that an error somebody
// forgot to classify tells a stranger nothing.
type Kind string

// The kinds. Exit status of the CLI beside each (spec/socket.md).
const (
	Internal    Kind = ""            // 1: a defect or a broken machine; strangers see "internal error"
	Usage       Kind = "usage"       // 2: the request itself is malformed
	Denied      Kind = "denied"      // 3: policy, a person or a limit said no
	Locked      Kind = "locked"      // 4: the vaults are locked
	Pending     Kind = "pending"     // 5: parked, waiting for a person; come back with the id
	NotFound    Kind = "not-found"   // 1: no such vault, item, field or request
	Ambiguous   Kind = "ambiguous"   // 1: several match; the candidates are listed
	Exists      Kind = "exists"      // 1: creating what is there already
	Conflict    Kind = "conflict"    // 1: somebody else changed it first
	Tampered    Kind = "tampered"    // 1: what is stored is not what was written
	Held        Kind = "held"        // 1: a rollback or fork was detected; only restore helps
	Empty       Kind = "empty"       // 1: the home has no account yet
	Passphrase  Kind = "passphrase"  // 3: a wrong passphrase or recovery code
	Unavailable Kind = "unavailable" // 1: the daemon, the disk or this platform cannot do it now
	Protocol    Kind = "protocol"    // 1: the two programs do not speak the same version
)

// Kinds are all kinds but Internal, which has no word.
func Kinds() []Kind {
	return []Kind{Usage, Denied, Locked, Pending, NotFound, Ambiguous, Exists, Conflict, Tampered, Held, Empty, Passphrase, Unavailable, Protocol}
}

// Error is a failure of one operation on one reference.
type Error struct {
	Kind Kind
	Op   string // what was being done, a verb: "read", "item create"
	Ref  string // the reference or id it concerned; may be empty; never a value
	Msg  string // one lower-case sentence without full stop; never a value
	Hint string // what to do now; may be empty
	Err  error  // the cause, for logs; never sent to a stranger
}

// Error prints "op ref: msg: cause". The hint is left to whoever shows it.
func (e *Error) Error() string {
	head := strings.TrimSpace(e.Op + " " + e.Ref)
	parts := make([]string, 0, 3)
	for _, p := range []string{head, e.Msg} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return "internal error"
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an Error without a cause. msg must not carry a value.
func New(kind Kind, op, ref, msg string) *Error {
	return &Error{Kind: kind, Op: op, Ref: ref, Msg: msg}
}

// Wrap returns an Error with a cause. A nil err gives an Error all the same.
func Wrap(kind Kind, op, ref string, err error) *Error {
	return &Error{Kind: kind, Op: op, Ref: ref, Err: err}
}

// WithHint returns e with a hint set: the next thing the user should do.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// KindOf returns the kind of the first Error in err's chain, Internal if there
// is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of kind k. It is false for a nil err.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Stranger returns what a caller who may not know the reason is told: an
// internal error loses its cause, everything else keeps kind, op, ref, message
// and hint. Denied and NotFound must already have been made alike by whoever
// decided (broker), because only it knows whether names may be listed.
func Stranger(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind == Internal {
		op := ""
		if ok {
			op = e.Op
		}
		return &Error{Op: op, Msg: "internal error", Hint: "the daemon's log has the cause"}
	}
	c := *e
	if c.Msg == "" && c.Err != nil {
		c.Msg = c.Err.Error()
	}
	c.Err = nil
	return &c
}

// ExitCode maps an error to the CLI's documented exit status: 0 none, 1 error,
// 2 usage, 3 denied, 4 locked, 5 pending or timed out waiting for a human.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	switch KindOf(err) {
	case Usage:
		return 2
	case Denied, Passphrase:
		return 3
	case Locked:
		return 4
	case Pending:
		return 5
	}
	return 1
}
