// Package fprint asks the machine's fingerprint service, fprintd, whether a finger
// of one user was put on the reader (Linux).
//
// The answer is one word of a service that runs on this machine as root. It holds no
// key, nothing is decrypted by it, and nobody can check it later: it can only stand
// beside a gesture that does. Only the owner of the service's name is heard, about a
// reader that it has reserved for us alone. On other systems there is no such
// service, and every call says so.
package fprint

import (
	"sync"
	"time"
)

// Reader is the default reader of the machine, asked for one user.
type Reader struct {
	Address  string        // where the system bus listens
	User     string        // whose fingers; empty is the user of this process
	Patience time.Duration // for each try; zero is 20 seconds

	busy sync.Mutex // one finger is for one thing
}

// Device is what there is to verify with.
type Device struct {
	Name    string // as the service names it
	Fingers int    // how many fingers of the user are enrolled
}
