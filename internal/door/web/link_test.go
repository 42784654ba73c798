package web_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
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

// touched is a backend for which every ceremony ends well.
type touched struct{ *fake }

func (b touched) Finish(context.Context, string, []web.Assertion) (web.Outcome, error) {
	return web.Outcome{State: web.OutcomeUnlocked}, nil
}

// A page whose link was made while locked, or to unlock, shows what waits for the vaults
// and nothing else, also once they are open, until a passkey answered on it.
func TestShut(t *testing.T) {
	f, s, _ := plainServer(t)
	s.Backend = touched{f}
	h := s.Handler()
	sees := func(token string) (out web.State) {
		t.Helper()
		w := ask(h, "POST", "/api/state", token, `{"seen":0}`, nil)
		if err := json.Unmarshal(w.Body.Bytes(), &out); w.Code != 200 || err != nil {
			t.Fatal(w.Code, err)
		}
		return out
	}
	f.change(func(st *web.State) { st.State = web.Locked })
	early := enter(t, s, h, web.LinkOpen, "")
	link := ticket(t, s, web.LinkOpen, "") // used later
	f.change(func(st *web.State) { st.State = web.Unlocked })
	late := enter(t, s, h, web.LinkOpen, "")
	unlocks := enter(t, s, h, web.LinkUnlock, "tty")
	var used struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(ask(h, "POST", "/api/open", "", `{"ticket":"`+link+`"}`, nil).Body.Bytes(), &used); err != nil {
		t.Fatal(err)
	}
	other := f.park(f.request(nil), 0, "")
	mine := f.park(f.request(func(r *canon.Request) { r.Unlock = true }), 0, "")
	f.change(func(st *web.State) { st.Leases, st.Muted = []web.Lease{{ID: "l"}}, []web.Mute{{ID: "m"}} })
	if st := sees(late); st.Shut || len(st.Requests) != 2 || len(st.Leases) != 1 {
		t.Errorf("opened while unlocked: %+v", st)
	}
	for what, token := range map[string]string{"opened while locked": early, "made while locked": used.Token, "to unlock": unlocks} {
		if st := sees(token); !st.Shut || len(st.Requests) != 1 || st.Requests[0].ID != mine.ID || len(st.History)+len(st.Leases)+len(st.Muted) != 0 {
			t.Errorf("%s: %+v", what, st)
		}
		for body, want := range map[string]int{
			`{"kind":"deny","id":"` + other.ID + `"}`: 404, `{"kind":"end","id":"l"}`: 404, `{"kind":"unmute","id":"m"}`: 404,
		} {
			if w := ask(h, "POST", "/api/refuse", token, body, nil); w.Code != want {
				t.Errorf("%s: %s: %d", what, body, w.Code)
			}
		}
		if w := ask(h, "POST", "/api/begin", token, `{"kind":"answer","requests":["`+other.ID+`"]}`, nil); w.Code != 404 {
			t.Errorf("%s: begins an answer: %d", what, w.Code)
		}
	}
	before := sees(early).Version
	if w := ask(h, "POST", "/api/finish", early, `{"ceremony":"c","assertions":[{"batch":0,"credential":"","authenticator_data":"","client_data":"","signature":"","sealed":""}]}`, nil); w.Code != 200 {
		t.Fatalf("finish: %d", w.Code)
	}
	if st := sees(early); st.Shut || len(st.Requests) != 2 || st.Version == before {
		t.Errorf("after a touch: %+v", st)
	}
	if st := sees(used.Token); !st.Shut {
		t.Error("another page was let in too")
	}
}
