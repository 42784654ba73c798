package web_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/config"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// book is what a page's log has said.
type book struct {
	mu   sync.Mutex
	said string
}

func (b *book) log(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said += fmt.Sprintf(format, args...) + "\n"
}

func (b *book) says(what string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.said, what)
}

// newPages is the pages of a daemon in a folder.
func newPages(t *testing.T, dir string) (*web.Pages, *book) {
	t.Helper()
	b := &book{}
	p := &web.Pages{Dir: dir, Backend: newFake(t), Signed: func() string { return "" }, Clock: &setClock{wall: time.Unix(1_800_000_000, 0)}, Log: b.log}
	t.Cleanup(func() { _ = p.Close(false) })
	return p, b
}

func choose(t *testing.T, p *web.Pages) (origin string, u *url.URL) {
	t.Helper()
	origin, err := p.Choose()
	if err != nil {
		t.Fatal(err)
	}
	if u, err = url.Parse(origin); err != nil || config.PagePort(origin) != u.Port() {
		t.Fatalf("%q, %v", origin, err)
	}
	return origin, u
}

// squat takes a port on one address, or says that there is none such.
func squat(t *testing.T, host, port string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil && host == "::1" {
		t.Skipf("SKIP: no IPv6 loopback here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// answers reports whether our page answers on an address.
func answers(host string, u *url.URL) bool {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, _ := http.NewRequest(http.MethodGet, "http://"+net.JoinHostPort(host, u.Port())+"/", nil)
	r.Host = u.Host
	res, err := c.Do(r)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK && res.Header.Get("Content-Security-Policy") != ""
}

// A page is chosen once, for good, and is on both loopback addresses.
func TestChoose(t *testing.T) {
	dir := t.TempDir()
	p, _ := newPages(t, dir)
	p.Open() // nothing was chosen yet
	if where, why := p.Where(); where != "" || why != "" || p.Address() != "" {
		t.Errorf("%q, %q", where, why)
	}
	if _, err := p.Ticket("", ""); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a ticket to nowhere: %v", err)
	}
	origin, u := choose(t, p)
	if again, _ := choose(t, p); again != origin {
		t.Errorf("%s, then %s", origin, again)
	}
	if text, err := config.ReadPage(dir); text != origin || err != nil {
		t.Errorf("the file says %q, %v", text, err)
	}
	if !answers("127.0.0.1", u) {
		t.Error("not on 127.0.0.1")
	}
	if l, err := net.Listen("tcp", net.JoinHostPort("::1", "0")); err == nil {
		_ = l.Close()
		if !answers("::1", u) {
			t.Error("not on ::1")
		}
	}
	if a, err := p.Ticket("", ""); err != nil || !strings.HasPrefix(a, origin+"/#t=") || p.Address() != origin+"/" {
		t.Errorf("%q, %v", a, err)
	}
	_ = p.Close(false)
	next, _ := newPages(t, dir)
	next.Open()
	if next.Address() != origin+"/" || !answers("127.0.0.1", u) {
		t.Errorf("the next daemon is at %q", next.Address())
	}
	if again, _ := choose(t, next); again != origin {
		t.Errorf("the next daemon chose %s", again)
	}
}

// A port that another program has on either address is none: nobody is sent there,
// the other address is not served, and the log says why.
func TestPortTaken(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			dir := t.TempDir()
			p, _ := newPages(t, dir)
			origin, u := choose(t, p)
			if a, err := p.Ticket("", ""); err != nil || a == "" {
				t.Fatal(err)
			}
			if files := p.Close(false); len(files) != 0 {
				t.Errorf("%d files kept", len(files))
			}
			squatter := squat(t, host, u.Port()) // as soon as the page was closed
			if _, err := p.Ticket("", ""); err == nil || p.Address() != "" {
				t.Errorf("closed, and sends people to %q: %v", p.Address(), err)
			}
			next, log := newPages(t, dir)
			next.Open()
			if _, err := next.Ticket("", ""); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), u.Port()) {
				t.Errorf("a ticket to the squatter: %v", err)
			}
			if where, why := next.Where(); where != "" || !strings.Contains(why, u.Port()) || !log.says(u.Port()) {
				t.Errorf("%q, %q", where, why)
			}
			for _, other := range []string{"127.0.0.1", "::1"} {
				if other != host && answers(other, u) {
					t.Errorf("served on %s alone", other)
				}
			}
			_ = squatter.Close()
			free, _ := newPages(t, dir)
			free.Open()
			if free.Address() != origin+"/" {
				t.Errorf("the port is free, and the page is at %q", free.Address())
			}
		})
	}
}

// With keep the listeners are handed over: they accept all the while, and nobody can
// take the port in between.
func TestHandOver(t *testing.T) {
	dir := t.TempDir()
	p, _ := newPages(t, dir)
	origin, u := choose(t, p)
	files := p.Close(true)
	if len(files) == 0 && runtime.GOOS == "windows" {
		t.Skip("SKIP: no listener is handed over on Windows")
	}
	if len(files) == 0 {
		t.Fatal("nothing was kept")
	}
	if p.Address() != "" {
		t.Error("a closed page has an address")
	}
	if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", u.Port())); err == nil {
		_ = l.Close()
		t.Error("the port was free in between")
	}
	early, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", u.Port())) // waits for whoever comes next
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	passed := listeners(t, files)
	next, _ := newPages(t, dir)
	next.Passed = passed
	next.Open()
	if next.Address() != origin+"/" || !answers("127.0.0.1", u) {
		t.Errorf("at %q", next.Address())
	}
	_, _ = fmt.Fprintf(early, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", u.Host)
	_ = early.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 12)
	if _, err := early.Read(b); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("who came in between got %q, %v", b, err)
	}
}

func listeners(t *testing.T, files []*os.File) (out []net.Listener) {
	t.Helper()
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		out = append(out, l)
	}
	return out
}

// Listeners of another port, or only one of two, are not taken for the page's.
func TestHandOverOfOthers(t *testing.T) {
	dir := t.TempDir()
	p, _ := newPages(t, dir)
	origin, u := choose(t, p)
	_ = p.Close(false)
	other := squat(t, "127.0.0.1", "0")
	next, _ := newPages(t, dir)
	next.Passed = []net.Listener{other}
	next.Open()
	if next.Address() != origin+"/" || !answers("127.0.0.1", u) {
		t.Errorf("at %q", next.Address())
	}
	if _, err := other.Accept(); err == nil {
		t.Error("a listener that is not ours stays open")
	}
	_ = next.Close(false)

	half, log := newPages(t, dir)
	squatter := squat(t, "::1", u.Port())
	defer squatter.Close()
	half.Passed = []net.Listener{squat(t, "127.0.0.1", u.Port())}
	half.Open()
	if half.Address() != "" || !log.says(u.Port()) {
		t.Errorf("served on one address, while another program has the other")
	}

	_ = os.Remove(dir + "/" + config.PageName)
	none, _ := newPages(t, dir)
	lost := squat(t, "127.0.0.1", "0")
	none.Passed = []net.Listener{lost}
	none.Open()
	if _, err := lost.Accept(); err == nil || none.Address() != "" {
		t.Error("a home without a page keeps a listener")
	}
}

// The file says where the port is, the account where the page is: where they differ
// nobody gets a ticket, and the file is mended.
func TestPageFileTampered(t *testing.T) {
	dir := t.TempDir()
	p, _ := newPages(t, dir)
	origin, u := choose(t, p)
	_ = p.Close(false)
	evil := strings.Replace(origin, u.Hostname()[6:8], "zz", 1)
	if evil == origin || config.WritePage(dir, evil) != nil {
		t.Fatal(evil)
	}
	next, _ := newPages(t, dir)
	next.Signed = func() string { return origin }
	next.Open()
	for range 2 {
		if a, err := next.Ticket("", ""); a != "" || !fault.Is(err, fault.Tampered) {
			t.Errorf("%q, %v", a, err)
		}
	}
	if text, err := config.ReadPage(dir); text != origin || err != nil {
		t.Errorf("the file says %q, %v", text, err)
	}
	_ = next.Close(false)
	mended, _ := newPages(t, dir)
	mended.Signed = next.Signed
	mended.Open()
	if a, err := mended.Ticket(web.LinkOpen, ""); err != nil || !strings.HasPrefix(a, origin) {
		t.Errorf("%q, %v", a, err)
	}
	_ = mended.Close(false)
	if err := os.WriteFile(dir+"/"+config.PageName, []byte("http://localhost:20001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none, log := newPages(t, dir)
	none.Open()
	if _, why := none.Where(); none.Address() != "" || why == "" || !log.says(config.PageName) {
		t.Errorf("a page at %q, %q", none.Address(), why)
	}
}
