package web

import (
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
	hash [sha256.Size]byte
	kind string
	arg  string
	wall time.Time // its end, by both clocks; the earlier counts
	boot time.Duration
}

// door keeps who may come in.
type door struct {
	mu      sync.Mutex
	tickets []pass
	tokens  []pass
}

// Ticket returns a link that lets one page in, once, within two minutes. Whoever
// sees the link can use it first: a browser's command line is no secret. All that
// it gives is a look, and the leave to say no.
func (s *Server) Ticket(kind, arg string) (string, error) {
	if kind != LinkOpen && kind != LinkEnrol && kind != LinkUnlock {
		return "", fault.New(fault.Usage, "link", kind, "no such kind of link")
	}
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

func (s *Server) pass(kind, arg string, life time.Duration) (string, pass, error) {
	text, err := canon.NewID(s.Rand)
	if err != nil {
		return "", pass{}, fault.Wrap(fault.Unavailable, "link", "", err)
	}
	return text, pass{sha256.Sum256([]byte(text)), kind, arg, s.Clock.Now().Add(life), s.Clock.SinceBoot() + life}, nil
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
