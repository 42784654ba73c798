package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// What a link is for.
const (
	LinkOpen   = "t"      // the page; arg may be the id of a request to look at
	LinkEnrol  = "enrol"  // arg is the backend's ticket of the enrolment
	LinkUnlock = "unlock" // arg is what Want.Ticket will be
)

// The limits of links and of pages that are let in.
const (
	maxTickets = 64
	maxTokens  = 64
	ticketLife = 2 * time.Minute
	tokenLife  = 12 * time.Hour
)

// pass is a ticket or a token: only its hash is kept.
type pass struct {
	hash  [sha256.Size]byte
	kind  string
	arg   string
	wall  time.Time // its end, by both clocks; the earlier counts
	boot  time.Duration
	whole bool // it sees all; not a page whose link anybody at a terminal may have had, see seen
}

// door keeps who may come in.
type door struct {
	mu      sync.Mutex
	tickets []pass
	tokens  []pass
	opened  chan struct{} // closed when a page that was shut is no longer; nil until somebody waits
}

// Ticket returns a link that lets one page in, once, within two minutes. Whoever
// sees the link can use it first: a browser's command line is no secret. All that
// it gives is a look, and the leave to say no.
func (s *Server) Ticket(kind, arg string) (string, error) {
	if kind != LinkOpen && kind != LinkEnrol && kind != LinkUnlock {
		return "", fault.New(fault.Usage, "link", kind, "no such kind of link")
	}
	state := s.Backend.State(context.Background()).State
	whole := kind == LinkEnrol || kind == LinkOpen && (state == Unlocked || state == Held)
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	s.door.tickets = s.live(s.door.tickets)
	if len(s.door.tickets) >= maxTickets {
		return "", fault.New(fault.Unavailable, "link", "", "too many links wait to be opened").WithHint("they end after two minutes")
	}
	text, p, err := s.pass(kind, arg, ticketLife)
	if err != nil {
		return "", err
	}
	p.whole = whole
	s.door.tickets = append(s.door.tickets, p)
	return s.Origin + "/#" + kind + "=" + text, nil
}

// enter exchanges a ticket for a token. The oldest token goes where there are too
// many: a page that was forgotten.
func (s *Server) enter(ticket string) (string, pass, bool) {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	s.door.tickets, s.door.tokens = s.live(s.door.tickets), s.live(s.door.tokens)
	i := find(s.door.tickets, ticket)
	if i < 0 {
		return "", pass{}, false
	}
	t := s.door.tickets[i]
	s.door.tickets = slices.Delete(s.door.tickets, i, i+1)
	text, p, err := s.pass(t.kind, t.arg, tokenLife)
	if err != nil {
		return "", pass{}, false
	}
	p.whole = t.whole
	if len(s.door.tokens) >= maxTokens {
		s.door.tokens = slices.Delete(s.door.tokens, 0, 1)
	}
	s.door.tokens = append(s.door.tokens, p)
	return text, p, true
}

// known returns the pass of a token.
func (s *Server) known(token string) (pass, bool) {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	s.door.tokens = s.live(s.door.tokens)
	i := find(s.door.tokens, token)
	if i < 0 {
		return pass{}, false
	}
	return s.door.tokens[i], true
}

// unshut lets a page see everything: a passkey answered on it, so a person is there.
func (s *Server) unshut(p pass) {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	for i := range s.door.tokens {
		if x := &s.door.tokens[i]; x.hash == p.hash && !x.whole {
			x.whole = true
			if s.door.opened != nil {
				close(s.door.opened)
				s.door.opened = nil
			}
		}
	}
}

// unshuts is closed when some page is let to see everything; shut says whether this one
// is not, or is gone.
func (s *Server) unshuts(p pass) (opened <-chan struct{}, shut bool) {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	if s.door.opened == nil {
		s.door.opened = make(chan struct{})
	}
	return s.door.opened, !slices.ContainsFunc(s.door.tokens, func(x pass) bool { return x.hash == p.hash && x.whole })
}

// seen is what a page may see. One whose link was made while locked, or to unlock, may
// have come to anybody who has a terminal: it sees what waits for the vaults to be
// opened, and no more once they are, until a passkey answered on it.
func seen(st State, shut bool) State {
	if !shut {
		return st
	}
	st.Version, st.Shut = st.Version^1<<52, true // what a page counts with holds 53 bits
	st.Requests = slices.DeleteFunc(slices.Clone(st.Requests), func(r Request) bool { return !r.Unlock })
	st.History, st.Leases, st.Muted = []Request{}, []Lease{}, []Mute{}
	return st
}

func (s *Server) pass(kind, arg string, life time.Duration) (string, pass, error) {
	text, err := canon.NewID(s.Rand)
	if err != nil {
		return "", pass{}, fault.Wrap(fault.Unavailable, "link", "", err)
	}
	return text, pass{hash: sha256.Sum256([]byte(text)), kind: kind, arg: arg, wall: s.Clock.Now().Add(life), boot: s.Clock.SinceBoot() + life}, nil
}

func (s *Server) live(all []pass) []pass {
	return slices.DeleteFunc(all, func(p pass) bool {
		return !s.Clock.Now().Before(p.wall) || s.Clock.SinceBoot() >= p.boot
	})
}

// find looks at every pass, so that its time tells nothing.
func find(all []pass, text string) int {
	hash, at := sha256.Sum256([]byte(text)), -1
	for i := range all {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(all[i].hash[:], hash[:]), i, at)
	}
	return at
}
