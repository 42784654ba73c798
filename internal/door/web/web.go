// Package web is the door for a person's browser: the page on which requests are
// read and answered with a passkey. It carries challenges, signatures and sealed
// messages between page and backend; it decides nothing, opens nothing and holds
// no key.
//
// The page is served under a name of its own (http://vault-<random>.localhost:port),
// since a passkey of "localhost" would work for every port of that name. It is let
// in by a link with a single-use ticket, made for a person at a terminal. The
// ticket and the token that it is exchanged for keep other pages and programs from
// asking questions; they are no proof of a person. Only a passkey's signature is.
package web

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
)

// The limits of the door.
const (
	maxConns = 128              // connections; more wait in the backlog
	maxPolls = 16               // long polls at once
	maxBody  = 64 << 10         // bytes of a request's body
	longPoll = 25 * time.Second // after which a page hears that nothing changed
	parting  = time.Second      // how long the last answers may take
)

// Server serves the page. Its fields are set before Handler or Serve is called; the
// zero Server refuses everything.
type Server struct {
	Backend Backend
	Origin  string        // http://vault-<random>.localhost:<port>; the only name that is answered to
	Clock   approve.Clock // of tickets and tokens
	Rand    io.Reader
	Log     func(format string, args ...any) // of defects; may be nil
	Poll    time.Duration                    // how long a page is kept waiting; 0 is 25 s

	door  door
	once  sync.Once
	polls chan struct{}
}

// Handler answers a browser. Every request goes through the guard first.
func (s *Server) Handler() http.Handler {
	s.once.Do(func() { s.polls = make(chan struct{}, maxPolls) })
	mux := http.NewServeMux()
	page := readPage()
	for _, a := range page.assets {
		mux.Handle(a.path, only(http.MethodGet, a))
	}
	for name, f := range s.calls() {
		mux.Handle("/api/"+name, only(http.MethodPost, s.api(name, f)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return s.calm(s.guard(page.policy, mux))
}

// only lets one method through.
func only(method string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			plain(w, http.StatusMethodNotAllowed, "method not allowed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Serve answers on a listener until ctx ends, then lets the answers that are being
// written go out, and returns nil. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	polls, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      longPoll + 15*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return polls },
		ErrorLog:          log.New(io.Discard, "", 0), // strangers' noise
	}
	done := make(chan error, 1)
	go func() {
		done <- srv.Serve(&narrow{Listener: l, seats: make(chan struct{}, maxConns), shut: make(chan struct{})})
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop() // wakes the long polls
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	if srv.Shutdown(last) != nil {
		_ = srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// narrow is a listener with a number of seats: a connection takes one until it is
// closed.
type narrow struct {
	net.Listener
	seats chan struct{}
	once  sync.Once
	shut  chan struct{}
}

func (n *narrow) Accept() (net.Conn, error) {
	select {
	case n.seats <- struct{}{}:
	case <-n.shut:
		return nil, net.ErrClosed
	}
	c, err := n.Listener.Accept()
	if err != nil {
		<-n.seats
		return nil, err
	}
	return &seated{Conn: c, leave: func() { <-n.seats }}, nil
}

func (n *narrow) Close() error {
	n.once.Do(func() { close(n.shut) })
	return n.Listener.Close()
}

type seated struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *seated) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
