package winhello

import (
	"context"
	"runtime"
	"sync"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/windows"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// calls are the functions of webauthn.dll.
type calls struct {
	version   func() uint32
	available func(yes *int32) uint32
	assert    func(window uintptr, rp *uint16, about *signed, how *options, to **assertion) uint32
	free      func(*assertion)
	name      func(to *guid) uint32
	cancel    func(which *guid) uint32
}

func load() (*calls, error) {
	c := &calls{}
	dll := windows.NewLazySystemDLL("webauthn.dll") // of the system's folder alone
	for _, f := range []struct {
		fn   any
		name string
	}{{&c.version, "WebAuthNGetApiVersionNumber"}, {&c.available, "WebAuthNIsUserVerifyingPlatformAuthenticatorAvailable"},
		{&c.assert, "WebAuthNAuthenticatorGetAssertion"}, {&c.free, "WebAuthNFreeAssertion"},
		{&c.name, "WebAuthNGetCancellationId"}, {&c.cancel, "WebAuthNCancelCurrentOperation"}} {
		p := dll.NewProc(f.name)
		if p.Find() != nil {
			return nil, noReader()
		}
		purego.RegisterFunc(f.fn, p.Addr())
	}
	var yes int32
	if c.version() < 1 || c.available(&yes) != sOK || yes == 0 {
		return nil, noReader()
	}
	return c, nil
}

// Ask has the person verified and a passkey of this computer sign. When ctx ends, the
// window goes away and the answer is an error, whatever was done in it.
func Ask(ctx context.Context, q Question) (Answer, error) {
	c, err := load()
	if err != nil {
		return Answer{}, err
	}
	window := windows.GetForegroundWindow()
	if window == 0 {
		if window = windows.GetShellWindow(); window == 0 {
			return Answer{}, fault.New(fault.Unavailable, op, "", "this daemon belongs to no session at the screen, where Windows Hello could ask")
		}
	}
	var id guid
	if err := result(c.name(&id)); err != nil {
		return Answer{}, err
	}
	var bad error
	text := func(s string) *uint16 {
		p, err := windows.UTF16PtrFromString(s)
		if err != nil {
			bad = err
		}
		return p
	}
	a, err := ask(q, &id, text)
	if err != nil {
		return Answer{}, err
	}
	rp := text(q.RPID)
	if bad != nil {
		return Answer{}, fault.New(fault.Usage, op, "", "the page has an impossible name")
	}
	ctx, done := context.WithTimeout(ctx, Patience)
	defer done()
	// A question that is cancelled before the system has begun it stays until its own
	// time-out; what is answered then does not count.
	var cancelling sync.WaitGroup
	cancelling.Add(1)
	stop := context.AfterFunc(ctx, func() { defer cancelling.Done(); c.cancel(&id) })
	var got *assertion
	code := c.assert(uintptr(window), rp, a.about, a.how, &got)
	runtime.KeepAlive(a)
	if !stop() {
		cancelling.Wait()
	}
	if got != nil {
		defer c.free(got)
	}
	switch ctx.Err() {
	case nil:
	case context.DeadlineExceeded:
		return Answer{}, late()
	default:
		return Answer{}, gaveUp()
	}
	if err := result(code); err != nil {
		return Answer{}, err
	}
	if got == nil {
		return Answer{}, result(1)
	}
	return got.answer(a.data, read)
}

// read copies memory of this process that the system owns; what is not there is an error.
func read(at uintptr, size uint32) ([]byte, error) {
	b := make([]byte, size)
	var n uintptr
	err := windows.ReadProcessMemory(windows.CurrentProcess(), at, &b[0], uintptr(size), &n)
	return b[:n], err
}
