package fprint

import (
	"context"
	"runtime"
	"time"

	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"

	"github.com/thumbturn/thumbturn/internal/fault"
)

const (
	biometrics = 1                                                                      // LAPolicyDeviceOwnerAuthenticationWithBiometrics: never a password instead
	now        = "now the finger: touch the sensor, a window of the system asks for it" // what is told
	reason     = "approve what you just confirmed in a terminal"                        // what the window says that thumbturnd wants
	answers    = 10 * time.Second                                                       // for the answer to a question that was taken back
)

// Verify returns nil when the user's finger was put on the sensor, and an error for
// anything else. tell hears what the person is to do; nil is nobody. The system itself
// takes a few wrong fingers. Whoever comes while another is verified is refused: a touch
// is for one thing. The system answers on a thread of its own; nothing of ours is left
// running.
func (r *Reader) Verify(ctx context.Context, tell func(string)) error {
	if !r.busy.TryLock() {
		return inUse()
	}
	defer r.busy.Unlock()
	t, err := r.meet(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.able(); err != nil {
		return err
	}
	type word struct {
		yes  bool
		code int
	}
	said := make(chan word, 1)
	// The system holds on to the block for as long as it may call it; this reference is ours.
	block := objc.NewBlock(func(_ objc.Block, yes bool, failure objc.ID) {
		w := word{yes: yes}
		if !yes && failure != 0 {
			w.code = codeOf(failure)
		}
		select {
		case said <- w:
		default: // it is asked for one word
		}
	})
	defer block.Release()
	if tell != nil {
		tell(now)
	}
	t.context.Send(objc.RegisterName("evaluatePolicy:localizedReason:reply:"), biometrics, text(reason), block)
	over := time.NewTimer(tries * r.patience())
	defer over.Stop()
	select {
	case w := <-said:
		if w.yes {
			return nil
		}
		return touched(w.code)
	case <-ctx.Done():
		err = gaveUp()
	case <-over.C:
		err = late()
	}
	// The window goes away, and whatever is answered now comes too late.
	t.context.Send(objc.RegisterName("invalidate"))
	select {
	case <-said:
	case <-time.After(answers):
	}
	return err
}

// Present tells whether there is a sensor with a finger of the user. It asks for none.
func (r *Reader) Present(ctx context.Context) (Device, error) {
	t, err := r.meet(ctx)
	if err != nil {
		return Device{}, err
	}
	defer t.close()
	if err := t.able(); err != nil {
		return Device{}, err
	}
	return Device{Name: "Touch ID", Fingers: 1}, nil
}

// talk is one LAContext, and what the system frees with it. All of it is done on one
// thread, which the pool belongs to.
type talk struct{ pool, context objc.ID }

// meet makes a context, where a window could be shown.
func (r *Reader) meet(ctx context.Context) (t talk, err error) {
	if ctx.Err() != nil {
		return t, gaveUp()
	}
	if r.User != "" {
		return t, foreign()
	}
	at, err := library("Security")
	if err != nil {
		return t, err
	}
	if _, err = library("LocalAuthentication"); err != nil {
		return t, err
	}
	if err := seated(at); err != nil {
		return t, err
	}
	pools, contexts := objc.GetClass("NSAutoreleasePool"), objc.GetClass("LAContext")
	if pools == 0 || contexts == 0 {
		return t, noReader()
	}
	runtime.LockOSThread()
	t.pool = fresh(pools)
	if t.context = fresh(contexts); t.context == 0 {
		t.close()
		return t, failed("does Touch ID unlock the screen?")
	}
	t.context.Send(objc.RegisterName("setLocalizedFallbackTitle:"), text("")) // no button for a password
	return t, nil
}

func (t talk) close() {
	if t.context != 0 {
		t.context.Send(objc.RegisterName("release"))
	}
	t.pool.Send(objc.RegisterName("drain"))
	runtime.UnlockOSThread()
}

// able says why a finger could not be verified.
func (t talk) able() error {
	var failure objc.ID
	if objc.Send[bool](t.context, objc.RegisterName("canEvaluatePolicy:error:"), biometrics, &failure) {
		return nil
	}
	if failure == 0 {
		return noReader()
	}
	return touched(codeOf(failure))
}

func fresh(class objc.Class) objc.ID {
	return objc.ID(class).Send(objc.RegisterName("alloc")).Send(objc.RegisterName("init"))
}

// text is an NSString that the pool frees.
func text(s string) objc.ID {
	return objc.ID(objc.GetClass("NSString")).Send(objc.RegisterName("stringWithUTF8String:"), s)
}

func codeOf(failure objc.ID) int { return objc.Send[int](failure, objc.RegisterName("code")) }

func library(name string) (uintptr, error) {
	at, err := purego.Dlopen("/System/Library/Frameworks/"+name+".framework/"+name, purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return 0, fault.New(fault.Unavailable, op, "", "this system has no "+name)
	}
	return at, nil
}

// seated refuses where no window can be shown: the security session of this process is
// not one at the screen.
func seated(security uintptr) error {
	const caller, graphic = 0xFFFFFFFF, 0x10 // callerSecuritySession, sessionHasGraphicAccess
	at, err := purego.Dlsym(security, "SessionGetInfo")
	if err != nil || at == 0 {
		return noScreen()
	}
	var info func(session uint32, id, attributes *uint32) int32
	purego.RegisterFunc(&info, at)
	var id, attributes uint32
	if info(caller, &id, &attributes) != 0 || attributes&graphic == 0 {
		return noScreen()
	}
	return nil
}
