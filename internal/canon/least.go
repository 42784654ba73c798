package canon

import (
	"errors"
	"fmt"
)

// Least is the weakest way that may open a vault: what must have decrypted, not what
// else was shown. An unknown word admits nothing.
type Least string

// The words, weakest first. A signature beside what was typed makes that no stronger
// here: what was typed is what opens.
const (
	LeastUnlock   Least = "unlock"              // of standard vaults, which are open while unlocked
	LeastPresence Least = "presence-passphrase" // the default of presence vaults
	LeastPIN      Least = "pin"
	LeastPasskey  Least = "passkey" // one that decrypts
)

// rank orders the words; 0 is none of them.
func (l Least) rank() int {
	switch l {
	case LeastUnlock:
		return 1
	case LeastPresence:
		return 2
	case LeastPIN:
		return 3
	case LeastPasskey:
		return 4
	}
	return 0
}

// leastOf is what a kind of slot amounts to. The recovery code answers no request:
// it makes everything anew.
func leastOf(kind SlotKind) Least {
	switch kind {
	case SlotPresence:
		return LeastPresence
	case SlotPIN:
		return LeastPIN
	case SlotPasskey:
		return LeastPasskey
	}
	return ""
}

// Admits reports whether a way of this kind may open what takes l.
func (l Least) Admits(kind SlotKind) bool {
	by := leastOf(kind).rank()
	return l.rank() > 0 && by > 0 && by >= l.rank()
}

// For checks that l is a word for a tier, and gives the default where there is none.
func (l Least) For(t Tier) (Least, error) {
	switch {
	case t == TierStandard && (l == "" || l == LeastUnlock):
		return LeastUnlock, nil
	case t == TierPresence && l == "":
		return LeastPresence, nil
	case t == TierPresence && l.rank() >= LeastPresence.rank():
		return l, nil
	case t == TierStandard:
		return "", errors.New("a standard vault opens while the vaults are unlocked, and takes no gesture")
	}
	return "", fmt.Errorf("a presence vault takes %s, %s or %s", LeastPresence, LeastPIN, LeastPasskey)
}

// Guard says how a vault is guarded, for a person to read.
func Guard(t Tier, l Least) string {
	if t == TierStandard {
		return string(t)
	}
	return string(t) + ", opens by " + l.Said()
}

// Said is l in words.
func (l Least) Said() string {
	switch l {
	case LeastUnlock:
		return "nothing but to be unlocked"
	case LeastPresence:
		return "the presence passphrase, a PIN or a passkey"
	case LeastPIN:
		return "a PIN or a passkey that decrypts"
	case LeastPasskey:
		return "a passkey that decrypts"
	}
	return "a gesture that this version does not know"
}
