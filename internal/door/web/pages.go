package web

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// The ports among which the page's is chosen, once: below those that systems give
// away by themselves, so that it is seldom taken.
const (
	firstPort = 20000
	ports     = 12000
)

// Pages is the approval page on its port. Both loopback addresses are taken, or
// neither: a program on the other one would be the same origin to a browser.
type Pages struct {
	Dir     string // of the settings
	Backend Backend
	Signed  func() string // the origin as the account says it; empty while nobody can say
	Clock   approve.Clock
	Log     func(format string, args ...any)
	Passed  []net.Listener // of the process image before this one

	mu     sync.Mutex
	server *Server
	listen []net.Listener
	why    string // why there is no page
	ended  bool
	stop   context.CancelFunc
	served sync.WaitGroup
}

// Open takes the port that was chosen earlier, or the listeners of the process image
// before this one.
func (p *Pages) Open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	origin, err := config.ReadPage(p.Dir)
	if err == nil && origin != "" {
		have := p.Passed
		if !ours(have, origin) {
			closeAll(have)
			have = nil
		}
		p.listen, err = listenPage(config.PagePort(origin), have...)
	} else {
		closeAll(p.Passed)
	}
	if err != nil {
		p.why = err.Error()
		p.Log("approval page: %v", err)
		return
	}
	if origin != "" {
		p.serve(origin)
	}
}

// ours reports whether inherited listeners are those of an origin.
func ours(ls []net.Listener, origin string) bool {
	for _, l := range ls {
		if _, port, err := net.SplitHostPort(l.Addr().String()); err != nil || port != config.PagePort(origin) {
			return false
		}
	}
	return true
}

// serve answers on the listeners until close. Caller holds mu.
func (p *Pages) serve(origin string) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.why = cancel, ""
	p.server = &Server{Backend: p.Backend, Origin: origin, Clock: p.Clock, Rand: rand.Reader, Log: p.Log}
	for _, l := range p.listen {
		p.served.Go(func() {
			if err := p.server.Serve(ctx, l); err != nil {
				p.Log("approval page: %v", err)
			}
		})
	}
}

// Choose takes a free port and a name that no other page has, for good, and serves
// there at once.
func (p *Pages) Choose() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return p.server.Origin, nil
	}
	name, err := canon.NewID(rand.Reader)
	if err != nil {
		return "", err
	}
	for range 64 {
		var b [2]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		port := strconv.Itoa(firstPort + int(binary.BigEndian.Uint16(b[:]))%ports)
		if p.listen, err = listenPage(port); err != nil {
			continue
		}
		origin := "http://vault-" + name + ".localhost:" + port
		if err := config.WritePage(p.Dir, origin); err != nil {
			closeAll(p.listen)
			return "", err
		}
		p.serve(origin)
		return origin, nil
	}
	return "", fault.Wrap(fault.Unavailable, "page", "", err)
}

// listenPage takes a port on both loopback addresses, or on the one that there is,
// as far as it is not had already.
func listenPage(port string, have ...net.Listener) ([]net.Listener, error) {
	out := have
	for _, host := range []string{"127.0.0.1", "::1"} {
		if slices.ContainsFunc(have, func(l net.Listener) bool { return l.Addr().String() == net.JoinHostPort(host, port) }) {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		switch {
		case err == nil:
			out = append(out, l)
		case host == "::1" && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
		default:
			closeAll(out)
			return nil, fault.Wrap(fault.Unavailable, "page", net.JoinHostPort(host, port), err).
				WithHint("another program has the page's port: nobody can approve by passkey until it ends")
		}
	}
	return out, nil
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		_ = l.Close()
	}
}

// Close ends the page and waits for its last answers. With keep, the ports stay
// taken, for the next process image.
func (p *Pages) Close(keep bool) (files []*os.File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.listen {
		if f, ok := l.(interface{ File() (*os.File, error) }); ok && keep {
			if file, err := f.File(); err == nil {
				files = append(files, file)
			}
		}
	}
	if p.stop != nil {
		p.stop()
		p.served.Wait()
	}
	closeAll(p.listen)
	p.server, p.stop, p.listen, p.ended = nil, nil, nil, true
	return files
}

// Address is where the page is; empty where it is not. It lets nobody in.
func (p *Pages) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return ""
	}
	return p.server.Origin + "/"
}

// mend brings back a page that is not there, at the origin that the account says: its
// file was taken away or spoilt, or the port was another program's for a time. Caller
// holds mu.
func (p *Pages) mend(origin string) {
	l, err := listenPage(config.PagePort(origin))
	if err == nil {
		if err = config.WritePage(p.Dir, origin); err != nil {
			closeAll(l)
		}
	}
	if err != nil {
		p.why = err.Error()
		return
	}
	p.Log("approval page: it is back")
	p.listen = l
	p.serve(origin)
}

// Ticket is an address that lets its first visitor in; see Server.Ticket. The file
// that says where the page is can be written by programs of this user; what counts is
// the signed setting, and where the two differ nobody is sent to the page.
func (p *Pages) Ticket(kind, id string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	signed := p.Signed()
	if p.server == nil && signed != "" && !p.ended {
		p.mend(signed)
	}
	if p.server == nil {
		why := p.why
		if why == "" {
			why = "this home has no approval page yet"
		}
		return "", fault.New(fault.Unavailable, "page", "", why).WithHint("`thumbturn passkey add` chooses its port; `thumbturn doctor` says more")
	}
	if signed != "" && signed != p.server.Origin {
		_ = config.WritePage(p.Dir, signed)
		return "", fault.New(fault.Tampered, "page", "", "the approval page is not where the account says it is").
			WithHint("somebody changed the file " + config.PageName + " among the settings; it is mended now: thumbturn daemon stop, then try again")
	}
	if kind == "" {
		kind = LinkOpen
	}
	return p.server.Ticket(kind, id)
}

// Where is the page's address, and why there is none where it is empty.
func (p *Pages) Where() (address, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		address = p.server.Origin + "/"
	}
	return address, p.why
}
