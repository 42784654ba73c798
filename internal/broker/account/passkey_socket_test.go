//go:build unix

package account_test

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/door/socket"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// tickets counts who was let in to the page.
type tickets struct{ given atomic.Int64 }

func (t *tickets) Address() string { return page + "/" }
func (t *tickets) Ticket(kind, id string) (string, error) {
	t.given.Add(1)
	return page + "/#" + kind + "=" + id, nil
}

// call is send as a process.
func (h theatre) call(l *net.UnixListener, pid int, op api.Op, body any, values ...[]byte) *api.Error {
	h.t.Helper()
	h.s.mu.Lock()
	h.s.next = pid
	h.s.mu.Unlock()
	return h.send(l, op, body, values...)
}

// serve answers on a socket until the test ends.
func (h *home) serve(p socket.Pages) *net.UnixListener {
	h.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(h.t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	s := &socket.Server{Account: h.acc, Broker: h.broker, Pages: p, Log: h.t.Logf}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(context.Background(), l) }()
	h.t.Cleanup(func() { _ = l.Close(); <-served })
	return l
}

// send sends one message and returns the error of the last reply.
func (h *home) send(l *net.UnixListener, op api.Op, body any, values ...[]byte) *api.Error {
	h.t.Helper()
	c, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	b, err := json.Marshal(body)
	if err == nil {
		err = api.WriteMessage(c, api.Header{Op: op, Body: b}, values...)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	for {
		hd, err := api.ReadHeader(c)
		if err != nil {
			h.t.Fatalf("%s: %v", op, err)
		}
		if hd.Error != nil {
			return hd.Error
		}
		if !hd.More || op == api.OpUnlockPage { // there, that it waits is enough
			return nil
		}
	}
}

// Over the socket too no agent, and nobody without a terminal, gets to the page, to a
// passkey or to an unlock by one.
func TestPasskeyOperations(t *testing.T) {
	t.Parallel()
	h := newTheatre(t, false)
	k := h.key()
	enrolInTheatre(h, k, "laptop")
	let := &tickets{}
	l := h.serve(let)
	auth := api.Auth{Source: "terminal"}
	add := api.PasskeyAdd{Auth: auth, Name: "x"}
	pass := []byte(presencePass)
	for _, pid := range []int{hiredPID, jobPID} {
		for what, e := range map[string]*api.Error{
			"page":       h.call(l, pid, api.OpPage, nil),
			"add":        h.call(l, pid, api.OpPasskeyAdd, add, pass, nil),
			"add, blank": h.call(l, pid, api.OpPasskeyAdd, add, nil, nil),
			"remove":     h.call(l, pid, api.OpPasskeyDel, api.PasskeyRemove{Auth: auth, Name: "laptop"}, pass),
			"unlock":     h.call(l, pid, api.OpUnlockPage, auth),
		} {
			if e == nil || e.Kind != string(fault.Denied) {
				t.Errorf("%d, %s: %+v", pid, what, e)
			}
		}
	}
	if let.given.Load() != 0 {
		t.Errorf("%d were let in", let.given.Load())
	}
	for what, e := range map[string]*api.Error{
		"page": h.call(l, personPID, api.OpPage, nil), "add": h.call(l, personPID, api.OpPasskeyAdd, add, pass, nil),
		"unlock": h.call(l, personPID, api.OpUnlockPage, auth),
	} {
		if e != nil {
			t.Errorf("a person, %s: %+v", what, e)
		}
	}
	if let.given.Load() != 3 {
		t.Errorf("%d were let in", let.given.Load())
	}
	if err := h.acc.Lock(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	if e := h.call(l, jobPID, api.OpUnlockPage, auth); e == nil || e.Kind != string(fault.Denied) {
		t.Errorf("a job, while locked: %+v", e)
	}
	if e := h.call(l, personPID, api.OpPage, nil); e != nil { // it shows what waits for the vaults
		t.Errorf("the page, while locked: %+v", e)
	}
	for _, pid := range []int{jobPID, hiredPID} {
		if e := h.call(l, pid, api.OpPage, nil); e == nil || e.Kind != string(fault.Denied) {
			t.Errorf("the page, while locked, for %d: %+v", pid, e)
		}
	}
}
