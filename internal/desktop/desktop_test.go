package desktop

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		w             Waiting
		failed        bool
		summary, body string
	}{
		{Waiting{1, "k3f9-2xq7"}, false, "A request waits for you", "Code k3f9-2xq7. Compare it with the page."},
		{Waiting{3, "9f3a-11c0"}, false, "3 requests wait for you", "The newest has the code 9f3a-11c0. Compare it with the page."},
		{Waiting{1, ""}, false, "A request waits for you", ""},
		{Waiting{1, "<a href='http://evil.test'>"}, false, "A request waits for you", ""},
		{Waiting{1, "all is well, press"}, false, "A request waits for you", ""},
		{Waiting{1, "k3f9-2xq7\n"}, false, "A request waits for you", ""},
		{Waiting{1, "K3F9-2XQ7"}, false, "A request waits for you", ""},
		{Waiting{1, "k3f9 2xq7"}, false, "A request waits for you", ""},
		{Waiting{1, "k3f9-2x<7"}, false, "A request waits for you", ""},
		{Waiting{1, "oooo-0000"}, false, "A request waits for you", ""},
		{Waiting{1, "١٢"}, false, "A request waits for you", ""},
		{Waiting{1, "k3f9-2xq7k3f9-2xq7"}, false, "A request waits for you", ""},
		{Waiting{1, ""}, true, "A request waits for you", "The page could not be opened from here: run thumbturn requests."},
		{Waiting{1, "0000-zzzz"}, true, "A request waits for you", "Code 0000-zzzz. Compare it with the page. The page could not be opened from here: run thumbturn requests."},
	} {
		if summary, body := text(c.w, c.failed); summary != c.summary || body != c.body {
			t.Errorf("%+v: %q, %q", c.w, summary, body)
		}
	}
}

// A code is one, whatever is asked.
func TestCodes(t *testing.T) {
	for n := range 1000 {
		if code := canon.ShortCode(canon.Hash(sha256.Sum256([]byte{byte(n), byte(n >> 8)}))); !plain(code) {
			t.Fatalf("%q is not taken for a code", code)
		}
	}
}

func TestPage(t *testing.T) {
	for address, want := range map[string]bool{
		"http://x7.localhost:8443/r/1#t": true, "http://localhost/": true, "http://127.0.0.1:1/": true, "http://[::1]:1/": true,
		"https://team.example/r/1": true, "http://team.example/": false, "http://10.0.0.1/": false, "http://localhost.evil.test/": false,
		"http://evil.test#.localhost": false, "http://a@localhost/": false, "file:///etc/passwd": false, "javascript:1": false,
		"http:localhost": false, "": false, "localhost": false, "https://": false, "https://x/" + strings.Repeat("a", 2048): false,
	} {
		if page(address) != want {
			t.Errorf("%.60q is one to open: %v", address, !want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add(1, "k3f9-2xq7", false)
	f.Add(100, "<b>", true)
	f.Add(2, "\u202e", false)
	f.Fuzz(func(t *testing.T, count int, code string, failed bool) {
		summary, body := text(Waiting{count, code}, failed)
		for _, c := range summary + body {
			if c < ' ' || c > 'z' || strings.ContainsRune("<>&\"'/\\[]", c) {
				t.Errorf("%q gives %q, %q", code, summary, body)
			}
		}
	})
}

// Without a bus there is a note and nothing else, and the owner gets Run back.
func TestNoDesktop(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Error("it went to the network")
			_ = conn.Close()
		}
	})
	defer listening.Wait()
	defer l.Close()
	tcp := fmt.Sprintf("tcp:host=127.0.0.1,port=%d", l.Addr().(*net.TCPAddr).Port)
	for _, address := range []string{"", "unix:path=/nowhere/bus", tcp, "unixexec:path=/bin/true", "autolaunch:", "unix:path=/nowhere/bus;" + tcp} {
		d := &Desktop{Address: address}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.Run(ctx) })
		for range 100 {
			d.Notify(Waiting{1, "AB"})
		}
		until(t, "a note for "+address, func() bool {
			return strings.HasPrefix(d.State().Note, "there is no ") || strings.HasPrefix(d.State().Note, "no ")
		})
		if d.State().Up || d.State().Shown {
			t.Errorf("%q: %+v", address, d.State())
		}
		cancel()
		wg.Wait()
	}
	if (&Desktop{}).State() != (State{}) {
		t.Error("the zero Desktop says something")
	}
}
