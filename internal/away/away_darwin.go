package away

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// What IOKit says of the machine's power (IOKit/IOMessage.h). The first two wait for
// an answer, for half a minute at most.
const (
	maySleep  = 0xE0000270 // an idle machine asks whether it may sleep
	willSleep = 0xE0000280
)

const (
	utf8      = 0x08000100 // kCFStringEncodingUTF8
	intNumber = 9          // kCFNumberIntType
)

// Run follows until ctx ends. The run loop that is told of a sleep belongs to a thread,
// so all is done on one.
func (w Watch) Run(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := &follower{Watch: w}
	defer f.end()
	c, err := load()
	if err != nil {
		w.Say(State{Note: "suspend, screen lock and logout are not heard: " + err.Error()})
		<-ctx.Done()
		return
	}
	for _, k := range []*uintptr{&c.mode, &c.locked, &c.console} {
		defer c.release(*k)
	}
	stop, why := c.power(f)
	defer stop()
	var said State
	for ctx.Err() == nil {
		now := c.session()
		f.saw(now)
		f.clocks(passed(unix.CLOCK_MONOTONIC_RAW), passed(unix.CLOCK_UPTIME_RAW))
		if s := told(why, now.there, now.there); s != said {
			w.Say(s)
			said = s
		}
		c.spin(ctx)
	}
}

// calls are the functions of the system, and three names as the system holds them.
type calls struct {
	newText  func(alloc uintptr, text string, encoding uint32) uintptr
	release  func(uintptr)
	value    func(dict, key uintptr) uintptr
	kindOf   func(uintptr) uint
	boolKind func() uint
	truth    func(uintptr) bool
	number   func(n uintptr, kind int, to *int32) bool
	inMode   func(mode uintptr, seconds float64, once bool) int32
	current  func() uintptr // a dictionary, ours to release; 0 without a session at a screen
	iokit    uintptr
	cf       uintptr
	mode     uintptr // kCFRunLoopDefaultMode
	locked   uintptr
	console  uintptr
}

func load() (*calls, error) {
	const at = "/System/Library/Frameworks/"
	c := &calls{}
	var graphics uintptr
	for _, l := range []struct {
		to   *uintptr
		name string
	}{{&c.cf, "CoreFoundation"}, {&graphics, "CoreGraphics"}, {&c.iokit, "IOKit"}} {
		var err error
		if *l.to, err = purego.Dlopen(at+l.name+".framework/"+l.name, purego.RTLD_LAZY|purego.RTLD_GLOBAL); err != nil {
			return nil, fmt.Errorf("%s could not be loaded", l.name)
		}
	}
	err := errors.Join(
		bind(&c.newText, c.cf, "CFStringCreateWithCString"), bind(&c.release, c.cf, "CFRelease"),
		bind(&c.value, c.cf, "CFDictionaryGetValue"), bind(&c.kindOf, c.cf, "CFGetTypeID"),
		bind(&c.boolKind, c.cf, "CFBooleanGetTypeID"), bind(&c.truth, c.cf, "CFBooleanGetValue"),
		bind(&c.number, c.cf, "CFNumberGetValue"), bind(&c.inMode, c.cf, "CFRunLoopRunInMode"),
		bind(&c.current, graphics, "CGSessionCopyCurrentDictionary"))
	if err != nil {
		return nil, err
	}
	for _, n := range []struct {
		to   *uintptr
		text string
	}{{&c.mode, "kCFRunLoopDefaultMode"}, {&c.locked, "CGSSessionScreenIsLocked"}, {&c.console, "kCGSSessionOnConsoleKey"}} {
		if *n.to = c.newText(0, n.text, utf8); *n.to == 0 {
			return nil, errors.New("no memory")
		}
	}
	return c, nil
}

// bind finds a function of a library; purego itself would panic without it.
func bind(fn any, library uintptr, name string) error {
	at, err := purego.Dlsym(library, name)
	if err != nil || at == 0 {
		return fmt.Errorf("this system has no %s", name)
	}
	purego.RegisterFunc(fn, at)
	return nil
}

// session looks at the session. A name that says neither yes nor no counts as locked.
func (c *calls) session() look {
	d := c.current()
	if d == 0 {
		return look{}
	}
	defer c.release(d)
	return look{there: true, locked: c.says(d, c.locked, false) || !c.says(d, c.console, true)}
}

// says reads a truth value; absent is what it is where the system leaves it out.
func (c *calls) says(dict, name uintptr, absent bool) bool {
	v := c.value(dict, name)
	if v == 0 {
		return absent
	}
	if c.kindOf(v) == c.boolKind() {
		return c.truth(v)
	}
	var n int32
	return c.number(v, intNumber, &n) && n != 0
}

// power asks to be told of a sleep, on the run loop of this thread. stop takes it back.
func (c *calls) power(f *follower) (stop func(), err error) {
	var register func(refcon uintptr, port *uintptr, callback uintptr, notifier *uint32) uint32
	var allow func(root uint32, id uintptr) int32
	var forget func(notifier *uint32) int32
	var closeRoot func(root uint32) int32
	var source func(port uintptr) uintptr
	var destroy func(port uintptr)
	var loop func() uintptr
	var add func(loop, source, mode uintptr)
	err = errors.Join(
		bind(&register, c.iokit, "IORegisterForSystemPower"), bind(&allow, c.iokit, "IOAllowPowerChange"),
		bind(&forget, c.iokit, "IODeregisterForSystemPower"), bind(&closeRoot, c.iokit, "IOServiceClose"),
		bind(&source, c.iokit, "IONotificationPortGetRunLoopSource"), bind(&destroy, c.iokit, "IONotificationPortDestroy"),
		bind(&loop, c.cf, "CFRunLoopGetCurrent"), bind(&add, c.cf, "CFRunLoopAddSource"))
	if err != nil {
		return func() {}, err
	}
	var root, notifier uint32
	var port uintptr
	root = register(0, &port, purego.NewCallback(func(_, _, message, id uintptr) uintptr {
		switch uint32(message) {
		case willSleep:
			f.lock(Suspend)
			allow(root, id)
		case maySleep:
			allow(root, id)
		}
		return 0
	}), &notifier)
	if root == 0 {
		return func() {}, errors.New("IOKit refused to tell of it")
	}
	add(loop(), source(port), c.mode)
	return func() {
		forget(&notifier)
		closeRoot(root)
		destroy(port)
	}, nil
}

// spin hears what comes until it is time for the next look. A loop without a source
// returns at once.
func (c *calls) spin(ctx context.Context) {
	for end := time.Now().Add(every); ctx.Err() == nil && time.Now().Before(end); {
		const finished = 1
		if c.inMode(c.mode, 0.25, false) == finished {
			time.Sleep(every / 8)
		}
	}
}

// passed reads one clock.
func passed(clock int32) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(clock, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
