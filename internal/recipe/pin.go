package recipe

import "errors"

// The length of a PIN, in bytes.
const (
	minPIN = 4
	maxPIN = 64
)

// CheckPIN says what is wrong with a new PIN: its length, or that it is among the
// first that anybody tries. A TPM lets few be tried, so no more is asked of it.
func CheckPIN(pin []byte) error {
	switch {
	case len(pin) < minPIN || len(pin) > maxPIN:
		return errors.New("a PIN has 4 to 64 characters")
	case repeats(pin):
		return errors.New("a PIN of one or two characters over and over is the first that is tried")
	case runs(pin, 1) || runs(pin, -1):
		return errors.New("a PIN that counts up or down is the first that is tried")
	}
	return nil
}

// repeats reports whether a PIN is one or two characters over and over.
func repeats(pin []byte) bool {
	for i := 2; i < len(pin); i++ {
		if pin[i] != pin[i-2] {
			return false
		}
	}
	return true
}

// runs reports whether each character follows the one before it in a direction; 0
// follows 9.
func runs(pin []byte, step int) bool {
	for i := 1; i < len(pin); i++ {
		a, b := int(pin[i-1]), int(pin[i])
		if digit(a) && digit(b) {
			if (a-'0'+step+10)%10 != b-'0' {
				return false
			}
		} else if a+step != b {
			return false
		}
	}
	return true
}

func digit(c int) bool { return '0' <= c && c <= '9' }
