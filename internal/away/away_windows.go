package away

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/windows"
)

const (
	currentSession = 0xFFFFFFFF // WTS_CURRENT_SESSION
	sessionInfoEx  = 25         // WTSSessionInfoEx
	byCallback     = 2          // DEVICE_NOTIFY_CALLBACK
	suspends       = 4          // PBT_APMSUSPEND
)

// Run follows until ctx ends. The end of the session ends this process too, so that
// there is nobody left to tell of it.
func (w Watch) Run(ctx context.Context) {
	f := &follower{Watch: w}
	defer f.end()
	c, err := load()
	if err != nil {
		w.Say(State{Note: "suspend, screen lock and logout are not heard: " + err.Error()})
		<-ctx.Done()
		return
	}
	stop, why := power(f)
	defer stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for said := (State{}); ; {
		now := c.session()
		f.saw(now)
		f.clocks(windows.DurationSinceBoot(), c.awake())
		if s := told(why, now.there, false); s != said {
			w.Say(s)
			said = s
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// calls are the functions of the system.
type calls struct {
	query    func(server uintptr, session, class uint32, to **sessionInfo, size *uint32) int32
	free     func(*sessionInfo)
	unbiased func(to *uint64) int32
}

func load() (*calls, error) {
	c := &calls{}
	err := errors.Join(bind(&c.query, "wtsapi32.dll", "WTSQuerySessionInformationW"), bind(&c.free, "wtsapi32.dll", "WTSFreeMemory"),
		bind(&c.unbiased, "kernel32.dll", "QueryUnbiasedInterruptTime"))
	return c, err
}

// bind finds a function of one of the system's own libraries.
func bind(fn any, library, name string) error {
	p := windows.NewLazySystemDLL(library).NewProc(name)
	if p.Find() != nil {
		return fmt.Errorf("%s has no %s", library, name)
	}
	purego.RegisterFunc(fn, p.Addr())
	return nil
}

// session looks at the session of this process.
func (c *calls) session() look {
	var info *sessionInfo
	var size uint32
	if c.query(0, currentSession, sessionInfoEx, &info, &size) == 0 || info == nil {
		return look{}
	}
	defer c.free(info)
	if size < sessionInfoSize {
		return look{}
	}
	return info.look()
}

// awake is the time that the machine was awake.
func (c *calls) awake() time.Duration {
	var n uint64 // of 100 ns
	if c.unbiased(&n) == 0 {
		return 0
	}
	return time.Duration(n) * 100
}

// power asks to be told of a sleep, on a thread of the system's own, which waits there
// for the lock. stop takes it back.
func power(f *follower) (stop func(), err error) {
	var register func(flags uint32, to *subscription, handle *uintptr) uint32
	var forget func(handle uintptr) uint32
	err = errors.Join(bind(&register, "powrprof.dll", "PowerRegisterSuspendResumeNotification"),
		bind(&forget, "powrprof.dll", "PowerUnregisterSuspendResumeNotification"))
	if err != nil {
		return func() {}, err
	}
	to := &subscription{Callback: windows.NewCallback(func(_, kind, _ uintptr) uintptr {
		if uint32(kind) == suspends {
			f.lock(Suspend)
		}
		return 0
	})}
	var handle uintptr
	if code := register(byCallback, to, &handle); code != 0 {
		return func() {}, fmt.Errorf("the system refused to tell of it (%d)", code)
	}
	return func() { forget(handle) }, nil
}
