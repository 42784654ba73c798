package web_test

import (
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestTickets(t *testing.T) {
	_, s, c := plainServer(t)
	h := s.Handler()
	open := func(text string) int { return ask(h, "POST", "/api/open", "", `{"ticket":"`+text+`"}`, nil).Code }
	once := ticket(t, s, web.LinkOpen, "")
	if a, b := open(once), open(once); a != 200 || b != 404 {
		t.Errorf("a ticket works %d, then %d", a, b)
	}
	start := *c
	for what, move := range map[string]func(){
		"wall": func() { c.wall = c.wall.Add(2 * time.Minute) },
		"boot": func() { c.boot += 2 * time.Minute },
	} {
		late := ticket(t, s, web.LinkOpen, "")
		move()
		if got := open(late); got != 404 {
			t.Errorf("a ticket of two minutes ago works by the %s clock: %d", what, got)
		}
		*c = start
	}
	token := enter(t, s, h, web.LinkOpen, "")
	c.wall = c.wall.Add(12*time.Hour - time.Second)
	if w := ask(h, "POST", "/api/state", token, `{"seen":0}`, nil); w.Code != 200 {
		t.Errorf("a token within 12 h: %d", w.Code)
	}
	c.boot += 12 * time.Hour
	if w := ask(h, "POST", "/api/state", token, `{"seen":0}`, nil); w.Code != 404 {
		t.Errorf("a token after 12 h: %d", w.Code)
	}
	for range 64 {
		link(t, s, web.LinkOpen, "")
	}
	if _, err := s.Ticket(web.LinkOpen, ""); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the 65th link: %v", err)
	}
	if _, err := s.Ticket("admin", ""); !fault.Is(err, fault.Usage) {
		t.Errorf("a link of no kind: %v", err)
	}
}

// Tokens are bounded: the oldest page is let go.
func TestTokensBounded(t *testing.T) {
	_, s, _ := plainServer(t)
	h := s.Handler()
	var tokens []string
	for range 65 {
		tokens = append(tokens, enter(t, s, h, web.LinkOpen, ""))
	}
	for i, want := range map[int]int{0: 404, 1: 200, 64: 200} {
		if w := ask(h, "POST", "/api/state", tokens[i], `{"seen":0}`, nil); w.Code != want {
			t.Errorf("page %d: %d", i, w.Code)
		}
	}
}

// The links decide what a page may enrol and unlock, not the page.
func TestLinksBind(t *testing.T) {
	f, s, _ := plainServer(t)
	b := &seen{fake: f}
	s.Backend = b
	h := s.Handler()
	enrol := enter(t, s, h, web.LinkEnrol, "enrolment-7")
	if w := ask(h, "POST", "/api/register", enrol, `{}`, nil); w.Code != 200 || b.ticket != "enrolment-7" {
		t.Errorf("%d, ticket %q", w.Code, b.ticket)
	}
	if w := ask(h, "POST", "/api/register", enrol, `{"ticket":"other"}`, nil); w.Code != 400 {
		t.Errorf("a page names an enrolment: %d", w.Code)
	}
	for kind, want := range map[string]string{web.LinkUnlock: "tty-7", web.LinkOpen: ""} {
		token := enter(t, s, h, kind, "tty-7")
		if w := ask(h, "POST", "/api/begin", token, `{"kind":"unlock"}`, nil); w.Code != 200 || b.want.Ticket != want {
			t.Errorf("%s: %d, ticket %q", kind, w.Code, b.want.Ticket)
		}
		if w := ask(h, "POST", "/api/begin", token, `{"kind":"unlock","Ticket":"tty-8"}`, nil); w.Code != 400 {
			t.Errorf("a page names a terminal: %d", w.Code)
		}
	}
}
