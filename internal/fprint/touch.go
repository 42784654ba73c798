//go:build linux || darwin

package fprint

import "github.com/thumbturn/thumbturn/internal/fault"

// The numbers of LAError (LocalAuthentication/LAError.h) that mean something here.
const (
	laFailed         = -1
	laUserCancel     = -2
	laUserFallback   = -3
	laSystemCancel   = -4
	laNoPasscode     = -5
	laNotAvailable   = -6
	laNotEnrolled    = -7
	laLockout        = -8
	laAppCancel      = -9
	laInvalidContext = -10
	laNotPaired      = -12
	laDisconnected   = -13
	laNotInteractive = -1004
)

// touched says what an error of LocalAuthentication means, by its number. Its own text
// is not passed on, and none of its numbers is a yes.
func touched(code int) error {
	switch code {
	case laFailed:
		return mismatch()
	case laUserCancel, laUserFallback, laSystemCancel, laAppCancel, laInvalidContext:
		return gaveUp()
	case laNoPasscode, laNotAvailable, laNotPaired:
		return noReader()
	case laNotEnrolled:
		return noFinger("System Settings, Touch ID & Password, enrols one")
	case laLockout:
		return fault.New(fault.Denied, op, "", "the fingerprint reader is locked after too many wrong fingers").
			WithHint("lock the screen and unlock it by the login password")
	case laDisconnected:
		return unplugged()
	case laNotInteractive:
		return noScreen()
	}
	return failed("does Touch ID unlock the screen?")
}

// noScreen is for a process without a session at the screen, as one that launchd
// started for the machine, or one of an SSH login.
func noScreen() error {
	return fault.New(fault.Unavailable, op, "", "this daemon belongs to no session at the screen, where Touch ID could ask").
		WithHint("start it in a terminal of that session: thumbturn daemon stop, then any command")
}

// foreign refuses to ask for another user's finger, of which this system knows nothing.
func foreign() error {
	return fault.New(fault.Unavailable, op, "", "Touch ID knows only the user of this process")
}
