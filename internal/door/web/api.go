package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// tokenHeader carries the token. A header, since cookies ignore ports: every
// server on this machine would be sent them.
const tokenHeader = "Thumbturn-Token"

// call is one question of the page: body is checked JSON.
type call func(ctx context.Context, p pass, body []byte) (any, error)

func (s *Server) calls() map[string]call {
	return map[string]call{
		"open": s.open, "state": s.state, "begin": s.begin, "register": s.register,
		"made": s.made, "finish": s.finish, "refuse": s.refuse,
	}
}

// errStrange is answered as any path that does not exist.
var errStrange = errors.New("web: no such ticket or token")

func (s *Server) api(name string, f call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			plain(w, http.StatusUnsupportedMediaType, "send application/json")
			return
		}
		p, ok := s.known(r.Header.Get(tokenHeader))
		if !ok && name != "open" { // open brings a ticket in its body instead
			notFound(w)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			plain(w, http.StatusRequestEntityTooLarge, "the body is too long, or was cut")
			return
		}
		if err := clean(body); err != nil {
			fail(w, err)
			return
		}
		answer, err := f(r.Context(), p, body)
		switch {
		case errors.Is(err, errStrange):
			notFound(w)
		case err != nil:
			fail(w, err)
		default:
			reply(w, http.StatusOK, answer)
		}
	})
}

// ---- the questions ----

func (s *Server) open(_ context.Context, _ pass, body []byte) (any, error) {
	var in struct {
		Ticket string `json:"ticket"`
	}
	if err := read(body, &in); err != nil {
		return nil, err
	}
	token, p, ok := s.enter(in.Ticket)
	if !ok {
		return nil, errStrange
	}
	out := struct {
		Token   string `json:"token"`
		View    string `json:"view"`
		Request string `json:"request"` // to look at first
	}{Token: token, View: p.kind}
	if p.kind == LinkOpen {
		out.Request = p.arg
	}
	return out, nil
}

// state waits until there is something that the page has not seen.
func (s *Server) state(ctx context.Context, p pass, body []byte) (any, error) {
	var in struct {
		Seen uint64 `json:"seen"`
	}
	if err := read(body, &in); err != nil {
		return nil, err
	}
	select {
	case s.polls <- struct{}{}:
		defer func() { <-s.polls }()
	default:
		return nil, fault.New(fault.Unavailable, "state", "", "too many pages are open").WithHint("close the others")
	}
	wait := s.Poll
	if wait <= 0 || wait > longPoll {
		wait = longPoll
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		changed := s.Backend.Changed()
		opened, shut := s.unshuts(p)
		st := seen(s.Backend.State(ctx), shut)
		if st.Version != in.Seen {
			return st, nil
		}
		select {
		case <-changed:
		case <-opened:
		case <-timer.C:
			return st, nil
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "state", "", "thumbturn stops")
		}
	}
}

func (s *Server) begin(ctx context.Context, p pass, body []byte) (any, error) {
	var in Want
	if err := read(body, &in); err != nil {
		return nil, err
	}
	answer := in.Kind == WantAnswer
	switch {
	case !answer && in.Kind != WantUnlock,
		answer != (len(in.Requests) > 0),
		len(in.Requests) > canon.MaxAnswered,
		in.Lease != nil && (!answer || in.Lease.For < 1 || in.Lease.Uses < 1):
		return nil, fault.New(fault.Usage, "begin", "", "not something to do with a passkey")
	}
	if p.kind == LinkUnlock {
		in.Ticket = p.arg
	}
	if !s.sees(ctx, p, in.Requests...) {
		return nil, errStrange
	}
	return s.Backend.Begin(ctx, in)
}

// register and made are for a page that was let in to enrol, and for that
// enrolment: the ticket is the link's, not the page's word.
func (s *Server) register(ctx context.Context, p pass, body []byte) (any, error) {
	var in struct{}
	if err := read(body, &in); err != nil {
		return nil, err
	}
	if p.kind != LinkEnrol {
		return nil, errStrange
	}
	return s.Backend.Register(ctx, p.arg)
}

func (s *Server) made(ctx context.Context, p pass, body []byte) (any, error) {
	var in Made
	if err := read(body, &in); err != nil {
		return nil, err
	}
	if p.kind != LinkEnrol {
		return nil, errStrange
	}
	return s.Backend.Made(ctx, p.arg, in)
}

// sees reports whether a page may see these requests.
func (s *Server) sees(ctx context.Context, p pass, ids ...string) bool {
	_, shut := s.unshuts(p)
	if !shut || len(ids) == 0 {
		return true
	}
	all := seen(s.Backend.State(ctx), true).Requests
	return !slices.ContainsFunc(ids, func(id string) bool {
		return !slices.ContainsFunc(all, func(r Request) bool { return r.ID == id })
	})
}

func (s *Server) finish(ctx context.Context, p pass, body []byte) (any, error) {
	var in struct {
		Ceremony   string      `json:"ceremony"`
		Assertions []Assertion `json:"assertions"`
	}
	if err := read(body, &in); err != nil {
		return nil, err
	}
	for i, a := range in.Assertions {
		if a.Batch != i {
			return nil, fault.New(fault.Usage, "finish", "", "the batches are not in order")
		}
	}
	if in.Ceremony == "" || len(in.Assertions) == 0 {
		return nil, fault.New(fault.Usage, "finish", "", "nothing was signed")
	}
	out, err := s.Backend.Finish(ctx, in.Ceremony, in.Assertions)
	if err == nil {
		s.unshut(p)
	}
	return out, err
}

func (s *Server) refuse(ctx context.Context, p pass, body []byte) (any, error) {
	var in Refusal
	if err := read(body, &in); err != nil {
		return nil, err
	}
	switch in.Kind {
	case RefuseDeny, RefuseMute, RefuseEnd, RefuseUnmute:
	default:
		return nil, fault.New(fault.Usage, "refuse", "", "nothing to refuse")
	}
	if in.ID == "" || (in.Kind == RefuseMute) != (in.For > 0) {
		return nil, fault.New(fault.Usage, "refuse", in.ID, "a mute has a time, and nothing else has")
	}
	if !s.sees(ctx, p, in.ID) {
		return nil, errStrange
	}
	return struct{}{}, s.Backend.Refuse(ctx, in)
}

// ---- bodies and answers ----

// read decodes one JSON value without unknown members.
func read(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.New(fault.Usage, "read", "", "not a body of this page")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Usage, "read", "", "something stands behind the body")
	}
	return nil
}

// clean refuses a body that carries what an authenticator's PRF gave, anywhere in
// it: the mistake of a page that posts a credential as a browser serializes it. It
// is half of a key; nothing is done with a body that holds it in clear. Names are
// compared as encoding/json would, without their case.
func clean(body []byte) error {
	return member(json.NewDecoder(bytes.NewReader(body)), "")
}

// member reads one value, of the member with this name.
func member(d *json.Decoder, name string) error {
	t, err := d.Token()
	if err != nil {
		return fault.New(fault.Usage, "read", "", "not JSON")
	}
	open, _ := t.(json.Delim)
	for n := 0; open != 0 && d.More(); n++ {
		key := ""
		if open == '{' {
			k, err := d.Token()
			if err != nil {
				return fault.New(fault.Usage, "read", "", "not JSON")
			}
			key, _ = k.(string)
		}
		if strings.EqualFold(key, "prf") || strings.EqualFold(key, "results") || strings.EqualFold(name, "clientExtensionResults") {
			return fault.New(fault.Usage, "read", "", "the body carries what a passkey's PRF gave; it was thrown away")
		}
		if err := member(d, key); err != nil {
			return err
		}
	}
	if open != 0 {
		if _, err := d.Token(); err != nil {
			return fault.New(fault.Usage, "read", "", "not JSON")
		}
	}
	return nil
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		plain(w, http.StatusInternalServerError, "internal error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// fail answers with an error's kind, message and hint, and never its cause.
func fail(w http.ResponseWriter, err error) {
	e := fault.Stranger(err)
	type told struct {
		Kind    fault.Kind `json:"kind"`
		Message string     `json:"message"`
		Hint    string     `json:"hint,omitempty"`
	}
	reply(w, status(e.Kind), struct {
		Error told `json:"error"`
	}{told{e.Kind, e.Msg, e.Hint}})
}

// status is the nearest that HTTP has; the page goes by the kind.
func status(k fault.Kind) int {
	switch k {
	case fault.Usage, fault.Protocol:
		return http.StatusBadRequest
	case fault.Denied, fault.Passphrase:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Locked:
		return http.StatusLocked
	case fault.Pending, fault.Ambiguous, fault.Exists, fault.Conflict, fault.Held, fault.Empty:
		return http.StatusConflict
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
