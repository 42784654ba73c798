package away

// How Windows lays things out, on the 64-bit systems that we build for (wtsapi32.h,
// winuser.h).

// sessionInfo is the beginning of WTSINFOEXW at level 1; the names and times behind it
// are not looked at.
type sessionInfo struct {
	Level   uint32
	_       uint32 // what follows begins at a multiple of eight
	Session uint32
	State   uint32 // 0 is at a screen
	Flags   uint32 // 0 locked, 1 unlocked; else unknown
}

const sessionInfoSize = 20

// look says what it means. A session that is taken from its screen by another user, or
// whose remote screen was closed, counts as locked, and so does one of which the system
// does not say that it is unlocked. That of services (0) never has a screen.
func (i *sessionInfo) look() look {
	const atScreen, unlocked = 0, 1
	if i.Level != 1 || i.Session == 0 {
		return look{}
	}
	return look{there: true, locked: i.State != atScreen || i.Flags != unlocked}
}

// subscription is DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS.
type subscription struct {
	Callback uintptr
	Context  uintptr
}
