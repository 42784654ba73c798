// Package daemon is the process thumbturnd: it makes itself safe, takes hold of
// one home, puts the rooms together, and serves until it is told to lock or to
// stop. Locking ends in a fresh process image: what Go may have left of a key in
// its memory is gone with the old one.
package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/door/socket"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/local"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
	"github.com/thumbturn/thumbturn/internal/tpm"
)

// Version of this release.
const Version = "0.1.0"

// databaseName is the database's file in the data folder.
const databaseName = "thumbturn.db"

// shutTime bounds how long an orderly end may take.
const shutTime = 10 * time.Second

// process is one run of the daemon.
type process struct {
	home    api.Home
	mode    mode
	blind   string // why nobody can be told from an agent; empty if it is not so
	lock    *device.Lock
	listen  *local.Listener
	device  *device.Device
	db      *sqlite.DB
	account *account.Account
	server  *socket.Server
	started time.Time
	starter starter
	again   bool // the image before this one held the lock
	end     chan ending
	outside *outside
	pages   *web.Pages
}

// ending is how a run ends.
type ending struct {
	again bool         // start again, locked
	swap  func() error // what to do once all is closed; may be nil
}

// Main runs the daemon and returns its exit status. The first process image only
// makes a clean one of itself: constant environment, no foreign descriptors, "/"
// as its directory.
func Main(args []string) int {
	if len(args) < 2 || args[1] != cleanMark {
		if len(args) > 1 {
			return usage(args[1:])
		}
		return report(api.Home{}, cleanStart())
	}
	home, err := api.FindHome(os.Getenv)
	if err != nil {
		return report(home, fault.Wrap(fault.Usage, "start", "", err))
	}
	m, err := findMode(os.Getenv, os.Geteuid(), socketAmong(args[2:]))
	if err != nil {
		return report(api.Home{}, err)
	}
	harden()
	if m.system {
		if err := confine(); err != nil {
			return report(home, err)
		}
	}
	again, err := run(home, m, args[2:])
	if err != nil {
		return report(home, err)
	}
	if again != nil {
		return report(home, again())
	}
	return 0
}

func usage(args []string) int {
	if args[0] == "--version" {
		fmt.Println(Version)
		return 0
	}
	fmt.Fprintln(os.Stderr, "thumbturnd takes no arguments; it serves the home in THUMBTURN_HOME or the XDG folders")
	if args[0] == "--help" || args[0] == "-h" {
		return 0
	}
	return 2
}

// report writes why the daemon did not start where the CLI looks for it.
func report(home api.Home, err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Hint != "" {
		err = fmt.Errorf("%w (%s)", err, e.Hint)
	}
	fmt.Fprintln(os.Stderr, "thumbturnd:", err)
	if home.Run != "" {
		line := fmt.Sprintf("%s %v\n", time.Now().UTC().Format(time.RFC3339), err)
		_ = os.WriteFile(filepath.Join(home.Run, "start.log"), []byte(line), 0o600)
	}
	return fault.ExitCode(err)
}

// run serves a home until the end. The returned function, if any, replaces the
// process image.
func run(home api.Home, m mode, inherited []string) (again func() error, err error) {
	p := &process{home: home, mode: m, started: time.Now(), end: make(chan ending, 1), outside: &outside{},
		pages: &web.Pages{Dir: home.Config, Clock: clock{}, Log: logf}}
	p.outside.reader = p.newReader()
	if err := p.hold(inherited); err != nil {
		return nil, err
	}
	if err := p.assemble(); err != nil {
		p.pages.Close(false)
		return nil, errors.Join(err, p.release())
	}
	_ = os.Remove(filepath.Join(home.Run, "start.log"))
	how := p.serve()
	page := p.pages.Close(how.again)
	if err := p.release(); err != nil {
		return nil, err
	}
	if how.swap != nil {
		if err := how.swap(); err != nil {
			return nil, err
		}
	}
	if how.again {
		return func() error { return p.restart(page) }, nil
	}
	// The lock goes first: whoever finds nobody listening finds the home free.
	return nil, errors.Join(p.lock.Release(), p.listen.Close())
}

// hold makes the folders, checks who may read them, takes the home's lock, and
// listens: on sockets passed by systemd or by the process before this one, else
// on a fresh socket.
func (p *process) hold(inherited []string) error {
	dirs := []string{p.home.Data, p.home.Config, p.home.Run, p.home.Device}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fault.Wrap(fault.Unavailable, "start", d, err).WithHint("is the disk read-only or full?")
		}
	}
	// A draft of the policy may be readable: it is no secret, and its folder is closed.
	if err := device.CheckFolders(p.home.Folder(), p.home.Config); err != nil {
		return err
	}
	if err := device.CheckPrivate(p.home.Data, p.home.Run, p.home.Device); err != nil {
		return err
	}
	var err error
	if p.lock, p.listen, p.pages.Passed, err = adopt(inherited); err != nil {
		return err
	}
	if p.again = p.lock != nil; !p.again {
		if p.lock, err = lockHome(p.home.Run); err != nil {
			return err
		}
	}
	if p.listen == nil { // never in system mode
		if p.listen, err = listenAt(p.home.Socket()); err != nil {
			return err
		}
	}
	return nil
}

// lockHome takes the home's lock, waiting a little for a daemon that is just
// dying: its descriptors are closed only after it has stopped answering.
func lockHome(dir string) (*device.Lock, error) {
	for i := 0; ; i++ {
		l, err := device.LockHome(dir)
		if err == nil || !fault.Is(err, fault.Exists) || i == 20 {
			return l, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// assemble opens device, database and account and wires the door.
func (p *process) assemble() error {
	dbPath := filepath.Join(p.home.Data, databaseName)
	dev, err := device.Open(p.home.Device, p.home.Data)
	if fault.Is(err, fault.Denied) && device.Rehome(p.home.Device, p.home.Data) == nil {
		dev, err = device.Open(p.home.Device, p.home.Data)
	}
	if fault.Is(err, fault.Empty) {
		if _, serr := os.Stat(dbPath); serr == nil {
			return fault.New(fault.Unavailable, "start", p.home.Device, "the database is here, but this device's share is not").
				WithHint("bring back the device folder, or restore a backup on a new device")
		}
		dev, err = device.Create(p.home.Device, p.home.Data, rand.Reader)
	}
	if err != nil {
		return err
	}
	p.device = dev
	if err := p.publish(); err != nil {
		return err
	}
	if p.db, err = sqlite.Open(dbPath, sqlite.Options{}); err != nil {
		return err
	}
	ctx := context.Background()
	kernel, err := identity.Kernel()
	if err != nil {
		return err
	}
	if p.mode.system {
		p.blind = unseen(kernel)
	}
	p.starter = whoStarted(identity.New(kernel, p.mode.options(false)), p.again)
	who := func(test bool) *identity.Registry { return identity.New(kernel, p.mode.options(test)) }
	acc, b, err := account.Open(ctx, account.Options{Store: p.db, Device: dev, Who: who, Clock: clock{}, Rand: rand.Reader, After: p.after, Page: p.pages.Choose, TPM: tpm.New(), Finger: p.finger,
		Files:   account.Files{Data: p.home.Data, Config: p.home.Config, Copy: p.db.Backup},
		Started: canon.Event{Action: "start", Outcome: "done", Reason: "started by " + p.starter.String(), Agent: p.starter.agent}})
	if err != nil {
		return err
	}
	p.account = acc
	if p.starter.agent != "" && !acc.TestHome() && acc.State() != api.StateEmpty {
		return fault.New(fault.Denied, "start", "", "refused under an agent ("+p.starter.agent+")").
			WithHint("start it from a terminal of your own: thumbturn daemon start")
	}
	p.outside.desktop = p.newDesktop()
	p.pages.Backend, p.pages.Signed = desk{acc, b, p.mode.String()}, acc.Origin
	p.pages.Open()
	p.server = &socket.Server{Pages: p.pages, Account: acc, Broker: b, Sign: dev.Sign, Status: p.status, Stop: p.quiet,
		End: func(again bool) { p.finish(ending{again: again}) }, Replace: func(swap func() error) { p.finish(ending{true, swap}) }, Log: logf, Config: p.home.Config}
	return nil
}

// finish asks serve to end; later wishes change nothing.
func (p *process) finish(how ending) {
	select {
	case p.end <- how:
	default:
	}
}

// serve answers until the end and says how it ends.
func (p *process) serve() ending {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	defer func() { cancel(); watching.Wait() }()
	watching.Go(func() { p.unused(ctx) })
	watching.Go(func() { p.listenOutside(ctx) })
	watching.Go(func() { p.tell(ctx) })
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(ctx, p.listen) }()
	var how ending
	select {
	case how = <-p.end:
		p.quiet()
		<-served
	case s := <-signals:
		logf("ending on %v", s)
		p.quiet()
		<-served
	case err := <-served:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			logf("listener: %v", err)
			return how
		}
		select { // quiet already, and about to say why
		case how = <-p.end:
		case s := <-signals:
			logf("ending on %v", s)
		}
	}
	p.lockAtEnd()
	cancel()
	p.server.Shut()
	return how
}

// lockAtEnd tells whoever waits, and lets deliveries finish, before connections
// are cut.
func (p *process) lockAtEnd() {
	ctx, cancel := context.WithTimeout(context.Background(), shutTime)
	defer cancel()
	if err := p.account.Lock(ctx, "the daemon ends"); err != nil {
		logf("lock: %v", err)
	}
}

// quiet stops accepting; the descriptor stays open for the next image.
func (p *process) quiet() {
	p.server.Quiet()
	local.Quiet(p.listen)
}

// release ends account, database and, when the process ends for good, the lock.
func (p *process) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutTime)
	defer cancel()
	var err error
	if p.account != nil {
		err = p.account.Close(ctx, "the daemon ends")
	}
	if p.db != nil {
		err = errors.Join(err, p.db.Close())
	}
	return err
}

func (p *process) status() api.Status {
	st := api.Status{Mode: p.mode.String(), Version: Version, PID: os.Getpid(), Started: p.started.UnixMilli(), StartedBy: p.starter.String(),
		Home: p.home.Data, Device: p.device.ID()}
	if !p.lockable() {
		st.Warnings = append(st.Warnings, "secret memory could not be locked into RAM")
	}
	if p.blind != "" {
		st.Warnings = append(st.Warnings, p.blind)
	}
	st.PolicyDraft = p.draft()
	p.locks(&st)
	st.Approval.Page, st.Approval.Why = p.pages.Where()
	st.Approval.Desktop = p.told()
	verify, _ := p.finger() // what cannot be read is a warning already
	st.Approval.Finger = verify != nil
	return st
}

// clock is the system's two clocks.
type clock struct{}

// Now is what the wall clock shows, without the running time that Go adds to it,
// compares by, and stops in suspend.
func (clock) Now() time.Time           { return time.Now().Round(0) }
func (clock) SinceBoot() time.Duration { return sinceBoot() }

func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().UTC().Format(time.RFC3339)+" "+format+"\n", args...)
}
