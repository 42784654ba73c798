//go:build linux || darwin

// Package fprint asks the machine's fingerprint service whether a finger of one user
// was put on the reader: fprintd on Linux, LocalAuthentication (Touch ID) on macOS.
//
// The answer is one word of a service of this machine. It holds no key, nothing is
// decrypted by it, and nobody can check it later: it can only stand beside a gesture
// that does. On Linux only the owner of the service's name is heard, about a reader
// that it has reserved for us alone. On macOS the word comes into this process by a
// library of the system's, which whoever can change this process can change; that part
// compiles, and was tried on no Mac. Windows has package winhello instead.
package fprint

import (
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Reader is the default reader of the machine, asked for one user.
type Reader struct {
	Address  string        // where the system bus listens (Linux)
	User     string        // whose fingers; empty is the user of this process
	Patience time.Duration // for each try; zero is 20 seconds

	busy sync.Mutex // one finger is for one thing
}

// Device is what there is to verify with.
type Device struct {
	Name    string // as the service names it
	Fingers int    // how many fingers of the user are enrolled; at least one, where nobody tells
}

// patience is how long one finger is waited for, where nothing else is said.
const patience = 20 * time.Second

// tries is how many wrong fingers one verification takes.
const tries = 3

func (r *Reader) patience() time.Duration {
	if r.Patience > 0 {
		return r.Patience
	}
	return patience
}

const op = "fingerprint"

// What every system's service may answer, in the same words.

func mismatch() error { return fault.New(fault.Denied, op, "", "the finger did not match") }

func late() error { return fault.New(fault.Denied, op, "", "no finger came in time") }

func gaveUp() error { return fault.New(fault.Denied, op, "", "the finger was not waited for") }

func noReader() error {
	return fault.New(fault.Unavailable, op, "", "there is no fingerprint reader")
}

func noFinger(hint string) error {
	return fault.New(fault.Denied, op, "", "no finger is enrolled").WithHint(hint)
}

func inUse() error {
	return fault.New(fault.Unavailable, op, "", "the fingerprint reader is waiting for another finger").WithHint("do it again in a moment")
}

func unplugged() error {
	return fault.New(fault.Unavailable, op, "", "the fingerprint reader was unplugged")
}

func failed(hint string) error {
	return fault.New(fault.Unavailable, op, "", "the fingerprint reader failed").WithHint(hint)
}
