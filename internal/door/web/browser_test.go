package web_test

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

type wallClock struct{ start time.Time }

func (c wallClock) Now() time.Time           { return time.Now() }
func (c wallClock) SinceBoot() time.Duration { return time.Since(c.start) }

// serve runs a server over a fake backend.
func serve(t *testing.T) (*fake, *web.Server) {
	t.Helper()
	f := newFake(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	f.origin = "http://" + host + ":" + port
	s := &web.Server{Backend: f, Origin: f.origin, Clock: wallClock{time.Now()}, Rand: rand.Reader, Log: t.Logf}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f, s
}

func link(t *testing.T, s *web.Server, kind, arg string) string {
	t.Helper()
	u, err := s.Ticket(kind, arg)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// enrol makes a passkey through the page.
func enrol(t *testing.T, b *webtest.Tab, s *web.Server) {
	t.Helper()
	b.Open(link(t, s, web.LinkEnrol, "ticket"))
	b.Click("Create the passkey")
	b.Click("Use the passkey")
	b.Sees("is enrolled")
}

// A test gets the browser and makes tabs and a server of its own.
type browserTest = func(t *testing.T, chrome context.Context)

func TestBrowser(t *testing.T) {
	chrome := webtest.Browser(t)
	for _, c := range []struct {
		name string
		test browserTest
	}{
		{"approve with PRF", testApprove},
		{"approve without PRF", testSignOnly},
		{"options", testOptions},
		{"two batches", testBatches},
		{"odd PRF outputs", testOddOutputs},
		{"together", testTogether},
		{"lease", testLease},
		{"refuse", testRefuse},
		{"unlock", testUnlock},
		{"keyboard", testKeyboard},
		{"link", testLink},
		{"phone", testPhone},
		{"all before the button", testFold},
		{"search", testSearch},
		{"gone", testGone},
		{"no verification", testNoVerification},
		{"forged answers of the authenticator", testForged},
		{"script clicks", testScriptClicks},
		{"early clicks", testEarlyClicks},
		{"agent with an authenticator", testAgent},
		{"frame", testFrame},
		{"other port", testOtherPort},
		{"lying backend", testLies},
		{"escape", testEscape},
		{"lines", testLines},
		{"answers", testAnswers},
		{"seal", testSeal},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, chrome) })
	}
}
