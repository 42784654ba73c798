package web_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/fault"
)

const origin = "http://" + host + ":4711"

// setClock is moved by hand; the two clocks apart.
type setClock struct {
	wall time.Time
	boot time.Duration
}

func (c *setClock) Now() time.Time           { return c.wall }
func (c *setClock) SinceBoot() time.Duration { return c.boot }

// plainServer is a server that is called without a network.
func plainServer(t *testing.T) (*fake, *web.Server, *setClock) {
	t.Helper()
	f, c := newFake(t), &setClock{wall: time.Unix(1_800_000_000, 0)}
	return f, &web.Server{Backend: f, Origin: origin, Clock: c, Rand: rand.Reader, Poll: 10 * time.Millisecond}, c
}

// ask is one request of a browser that behaves, changed by edit.
func ask(h http.Handler, method, path, token, body string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, origin+path, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Origin", origin)
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Thumbturn-Token", token)
	}
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ticket(t *testing.T, s *web.Server, kind, arg string) string {
	t.Helper()
	_, text, ok := strings.Cut(link(t, s, kind, arg), "/#"+kind+"=")
	if !ok || !canon.IsID(text) {
		t.Fatalf("no ticket in the link: %q", text)
	}
	return text
}

func enter(t *testing.T, s *web.Server, h http.Handler, kind, arg string) string {
	t.Helper()
	w := ask(h, "POST", "/api/open", "", `{"ticket":"`+ticket(t, s, kind, arg)+`"}`, nil)
	var got struct{ Token, View, Request string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.Token == "" || got.View != kind {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return got.Token
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func fetch(site, mode, dest string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", mode)
		r.Header.Set("Sec-Fetch-Dest", dest)
	}
}

func name(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }

func TestGuard(t *testing.T) {
	_, s, _ := plainServer(t)
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	const state = `{"seen":0}`
	for _, c := range []struct {
		what, method, path, token, body string
		edit                            func(*http.Request)
		want                            int
	}{
		{"the page", "GET", "/", "", "", nil, 200},
		{"a script", "GET", "/page.js", "", "", nil, 200},
		{"the state", "POST", "/api/state", token, state, nil, 200},
		{"an old browser, which says nothing of sites", "POST", "/api/state", token, state, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, 200},

		{"another host", "GET", "/", "", "", name("evil.test"), 421},
		{"another host, same port", "GET", "/", "", "", name("evil.test:4711"), 421},
		{"the address", "GET", "/", "", "", name("127.0.0.1:4711"), 421},
		{"localhost", "GET", "/", "", "", name("localhost:4711"), 421},
		{"another port", "GET", "/", "", "", name(host + ":80"), 421},
		{"no port", "GET", "/", "", "", name(host), 421},
		{"upper case", "GET", "/", "", "", name(strings.ToUpper(host) + ":4711"), 421},
		{"a dot", "GET", "/", "", "", name(host + ".:4711"), 421},
		{"no host", "GET", "/", "", "", name(""), 421},
		{"another host asks the API", "POST", "/api/state", token, state, name("evil.test"), 421},

		{"typed", "GET", "/", "", "", fetch("none", "navigate", "document"), 200},
		{"a link elsewhere", "GET", "/", "", "", fetch("cross-site", "navigate", "document"), 200},
		{"a link on another port", "GET", "/", "", "", fetch("same-site", "navigate", "document"), 200},
		{"a frame", "GET", "/", "", "", fetch("cross-site", "navigate", "iframe"), 403},
		{"a frame on another port", "GET", "/", "", "", fetch("same-site", "navigate", "iframe"), 403},
		{"an object", "GET", "/", "", "", fetch("same-site", "navigate", "object"), 403},
		{"a document without going there", "GET", "/", "", "", fetch("same-site", "no-cors", "document"), 403},
		{"a fetch of the page", "GET", "/", "", "", fetch("same-site", "no-cors", "empty"), 403},
		{"a link to a script", "GET", "/page.js", "", "", fetch("cross-site", "navigate", "document"), 403},
		{"a script elsewhere", "GET", "/page.js", "", "", fetch("same-site", "no-cors", "script"), 403},
		{"a form", "POST", "/", "", "", fetch("cross-site", "navigate", "document"), 403},
		{"a site that nobody knows", "GET", "/", "", "", set("Sec-Fetch-Site", "friend"), 403},
		{"two sites", "GET", "/", "", "", func(r *http.Request) { r.Header.Add("Sec-Fetch-Site", "same-origin") }, 403},
		{"another site asks the API", "POST", "/api/state", token, state, set("Sec-Fetch-Site", "cross-site"), 403},
		{"another port asks the API", "POST", "/api/state", token, state, set("Sec-Fetch-Site", "same-site"), 403},
		{"nobody asks the API", "POST", "/api/state", token, state, set("Sec-Fetch-Site", "none"), 403},

		{"no origin", "POST", "/api/state", token, state, func(r *http.Request) { r.Header.Del("Origin") }, 403},
		{"null", "POST", "/api/state", token, state, set("Origin", "null"), 403},
		{"another origin", "POST", "/api/state", token, state, set("Origin", "http://"+host+":4712"), 403},
		{"another scheme", "POST", "/api/state", token, state, set("Origin", "https://"+host+":4711"), 403},
		{"an origin with a slash", "POST", "/api/state", token, state, set("Origin", origin+"/"), 403},
		{"the preflight of another origin", "OPTIONS", "/api/state", "", "", set("Origin", "http://localhost:1"), 403},

		{"no type", "POST", "/api/state", token, state, func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		{"a form's type", "POST", "/api/state", token, state, set("Content-Type", "text/plain"), 415},
		{"a type with a character set", "POST", "/api/state", token, state, set("Content-Type", "application/json; charset=utf-8"), 200},

		{"no token", "POST", "/api/state", "", state, nil, 404},
		{"a wrong token", "POST", "/api/state", newID(t), state, nil, 404},
		{"a cookie", "POST", "/api/state", "", state, set("Cookie", "Thumbturn-Token="+token), 404},
		{"a wrong ticket", "POST", "/api/open", "", `{"ticket":"` + newID(t) + `"}`, nil, 404},
		{"no ticket", "POST", "/api/open", "", `{}`, nil, 404},
		{"an enrolment nobody began", "POST", "/api/register", token, `{}`, nil, 404},
		{"a passkey nobody began", "POST", "/api/made", token, `{}`, nil, 404},
		{"no such call", "POST", "/api/approve", token, `{}`, nil, 404},
		{"no such path", "GET", "/page/page.js", "", "", nil, 404},
		{"another way to say it", "GET", "/..%2fpage.js", "", "", nil, 404},

		{"GET", "GET", "/api/state", token, "", nil, 405},
		{"PUT", "PUT", "/api/state", token, state, set("Origin", origin), 405},
		{"HEAD", "HEAD", "/", "", "", nil, 405},

		{"64 KiB and one", "POST", "/api/state", token, strings.Repeat(" ", 64<<10) + "1", nil, 413},
		{"not JSON", "POST", "/api/state", token, `seen`, nil, 400},
		{"nothing", "POST", "/api/state", token, ``, nil, 400},
		{"unknown member", "POST", "/api/state", token, `{"seen":0,"more":1}`, nil, 400},
		{"two values", "POST", "/api/state", token, `{"seen":0}{}`, nil, 400},
		{"nested without end", "POST", "/api/state", token, strings.Repeat(`[`, 60_000), nil, 400},
	} {
		w := ask(h, c.method, c.path, c.token, c.body, c.edit)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, w.Code, c.want, w.Body)
		}
		for _, n := range []string{"Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Cross-Origin-Opener-Policy",
			"Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy", "Cache-Control", "Referrer-Policy", "Permissions-Policy"} {
			if w.Header().Get(n) == "" {
				t.Errorf("%s: no %s", c.what, n)
			}
		}
		for _, n := range []string{"Set-Cookie", "Access-Control-Allow-Origin"} {
			if w.Header().Get(n) != "" {
				t.Errorf("%s: %s", c.what, n)
			}
		}
	}
}

// A server without a name of its own answers to none.
func TestNameless(t *testing.T) {
	for _, o := range []string{"", "vault.localhost:1", "http://", "http://a.localhost:1/", "http://u@a.localhost:1"} {
		_, s, _ := plainServer(t)
		s.Origin = o
		h := s.Handler()
		for _, host := range []string{"", "vault.localhost:1", "a.localhost:1", "u@a.localhost:1"} {
			if w := ask(h, "GET", "/", "", "", name(host)); w.Code != 421 {
				t.Errorf("%q as %q: %d", o, host, w.Code)
			}
		}
	}
}

// Nothing runs in the page but what the policy pins.
func TestPolicy(t *testing.T) {
	_, s, _ := plainServer(t)
	h := s.Handler()
	w := ask(h, "GET", "/", "", "", nil)
	page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	pin := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
	}
	var hashes []string
	tags := regexp.MustCompile(`<script src="(/[a-z]+\.js)" integrity="(sha256-[^"]+)" defer></script>`).FindAllStringSubmatch(page, -1)
	for _, m := range tags {
		if got := pin(ask(h, "GET", m[1], "", "", nil).Body.String()); got != m[2] {
			t.Errorf("%s is pinned as %s, and is %s", m[1], m[2], got)
		}
		hashes = append(hashes, "'"+m[2]+"'")
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	want := "default-src 'none'; script-src " + strings.Join(hashes, " ") + "; style-src '" + pin(style) + "'; connect-src 'self'; base-uri 'none'; " +
		"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	if diff := cmp.Diff(want, policy); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if len(tags) == 0 || len(tags) != strings.Count(page, "<script") || strings.Contains(page, "{{") {
		t.Errorf("%d pinned of %d scripts", len(tags), strings.Count(page, "<script"))
	}
	for header, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=(), " +
			"display-capture=(), usb=(), serial=(), hid=(), clipboard-read=(), payment=()",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	if strings.Contains(page, "op://") {
		t.Error("the shell holds data")
	}
}

// What a PRF gave is half of a key: a body that holds it in clear is not used.
func TestPRFInClear(t *testing.T) {
	f, s, _ := plainServer(t)
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	for body, carries := range map[string]bool{
		`{"ceremony":"c","assertions":[{"batch":0,"prf":{}}]}`:                                                    true,
		`{"ceremony":"c","assertions":[{"batch":0}],"prf":null}`:                                                  true,
		`{"ceremony":"c","assertions":[{"batch":0,"clientExtensionResults":{"prf":{"results":{"first":"AA"}}}}]}`: true,
		`{"ceremony":"c","assertions":[{"batch":0,"clientExtensionResults":{"hmacGetSecret":"AA"}}]}`:             true,
		`{"ceremony":"c","assertions":[{"batch":0,"clientExtensionResults":["AA"]}]}`:                             true,
		`{"ceremony":"c","assertions":[{"batch":0,"CLIENTEXTENSIONRESULTS":{"x":1}}]}`:                            true,
		`{"ceremony":"c","assertions":[{"batch":0,"deep":[[{"Results":1}]]}]}`:                                    true,
		`{"ceremony":"c","assertions":[{"batch":0,"re\u0073ults":1}]}`:                                            true,
		`{"ceremony":"c","ceremony":"d","assertions":[{"batch":0,"PRF":1}]}`:                                      true,
		`{"ceremony":"c","assertions":[{"batch":0,"clientExtensionResults":{}}]}`:                                 false,
		`{"ceremony":"prf","assertions":[{"batch":0,"signature":"cHJm"}]}`:                                        false,
	} {
		w := ask(h, "POST", "/api/finish", token, body, nil)
		if told := strings.Contains(w.Body.String(), "carries what a passkey's PRF gave"); told != carries || carries && w.Code != 400 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if len(f.faults) != 1 {
		t.Errorf("the backend saw %d bodies, want the last", len(f.faults))
	}
}

// Whatever a body is, no PRF output in it reaches the backend, and nothing breaks.
func FuzzBody(f *testing.F) {
	for _, body := range []string{`{"ceremony":"c","assertions":[{"batch":0}]}`, `{"prf":1}`, `[{"a":{"results":[]}}]`, `{"clientExtensionResults":{}}`, `{"clientExtensionResults":[0]}`,
		`{"a":"\ud800","ceremony":"c"}`, `{`, `{"a"`, `{"a":`, `{"a":1,}`, `[[[]`, "\xff", `{"PRF":1,"prf":2}`, `nul`, `1 2`} {
		f.Add(body)
	}
	t := &testing.T{}
	back := newFake(t)
	s := &web.Server{Backend: back, Origin: origin, Clock: &setClock{wall: time.Unix(1_800_000_000, 0)}, Rand: rand.Reader}
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	f.Fuzz(func(t *testing.T, body string) {
		_, _, _, before := back.waiting()
		w := ask(h, "POST", "/api/finish", token, body, nil)
		_, _, _, after := back.waiting()
		if w.Code != 400 && w.Code != 403 && w.Code != 413 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		var v any
		if json.Unmarshal([]byte(body), &v) == nil && carries(v) && (w.Code != 400 && w.Code != 413 || after != before) {
			t.Errorf("it was used: %d", w.Code)
		}
	})
}

// carries looks for what clean must refuse, in another way.
func carries(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, carries)
	case map[string]any:
		for k, x := range v {
			list, _ := x.([]any)
			object, _ := x.(map[string]any)
			if strings.EqualFold(k, "prf") || strings.EqualFold(k, "results") || strings.EqualFold(k, "clientExtensionResults") && len(list)+len(object) > 0 || carries(x) {
				return true
			}
		}
	}
	return false
}

// seen is a backend that keeps what it was asked, and can fail.
type seen struct {
	*fake
	want   web.Want
	ticket string
	err    error
	boom   bool
}

func (b *seen) Begin(_ context.Context, w web.Want) (web.Ceremony, error) {
	if b.boom {
		panic("boom: hunter2")
	}
	b.want = w
	return web.Ceremony{ID: "c"}, b.err
}

func (b *seen) Register(_ context.Context, ticket string) (web.Registration, error) {
	b.ticket = ticket
	return web.Registration{}, nil
}

func TestWants(t *testing.T) {
	f, s, _ := plainServer(t)
	b := &seen{fake: f}
	s.Backend = b
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	for body, want := range map[string]int{
		`{"kind":"answer","requests":["a"]}`:                                 200,
		`{"kind":"answer","requests":["a"],"lease":{"for":1,"uses":1}}`:      200,
		`{"kind":"answer","requests":["a","b"],"lease":{"for":1,"uses":1}}`:  200,
		`{"kind":"answer","requests":["a"],"lease":{"for":0,"uses":1}}`:      400,
		`{"kind":"answer","requests":["a"],"lease":{"for":1,"uses":0}}`:      400,
		`{"kind":"answer","requests":[]}`:                                    400,
		`{"kind":"answer"}`:                                                  400,
		`{"kind":"answer","requests":["1","2","3","4","5","6","7","8","9"]}`: 400,
		`{"kind":"unlock"}`:                                                  200,
		`{"kind":"unlock","requests":["a"]}`:                                 400,
		`{"kind":"unlock","lease":{"for":1,"uses":1}}`:                       400,
		`{"kind":"enrol"}`:                                                   400,
		`{}`:                                                                 400,
	} {
		if w := ask(h, "POST", "/api/begin", token, body, nil); w.Code != want {
			t.Errorf("begin %s: %d", body, w.Code)
		}
	}
	for body, want := range map[string]int{
		`{"kind":"deny","id":"a"}`:          200,
		`{"kind":"mute","id":"a","for":1}`:  200,
		`{"kind":"mute","id":"a"}`:          400,
		`{"kind":"mute","id":"a","for":-1}`: 400,
		`{"kind":"deny","id":"a","for":1}`:  400,
		`{"kind":"deny"}`:                   400,
		`{"kind":"end","id":"a"}`:           200,
		`{"kind":"unmute","id":"a"}`:        200,
		`{"kind":"approve","id":"a"}`:       400,
		`{"id":"a"}`:                        400,
	} {
		if w := ask(h, "POST", "/api/refuse", token, body, nil); w.Code != want {
			t.Errorf("refuse %s: %d", body, w.Code)
		}
	}
	for body, want := range map[string]int{
		`{"ceremony":"c","assertions":[]}`:                        400,
		`{"ceremony":"","assertions":[{"batch":0}]}`:              400,
		`{"ceremony":"c","assertions":[{"batch":1}]}`:             400,
		`{"ceremony":"c","assertions":[{"batch":0},{"batch":0}]}`: 400,
		`{"ceremony":"c","assertions":[{"batch":0}]}`:             403, // the fake's no
	} {
		if w := ask(h, "POST", "/api/finish", token, body, nil); w.Code != want {
			t.Errorf("finish %s: %d", body, w.Code)
		}
	}
}

// Every kind of fault has a status; a person is told its message and hint, and
// never the cause.
func TestFaults(t *testing.T) {
	f, s, _ := plainServer(t)
	b := &seen{fake: f}
	s.Backend = b
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	want := map[fault.Kind]int{
		fault.Usage: 400, fault.Protocol: 400, fault.Denied: 403, fault.Passphrase: 403, fault.NotFound: 404, fault.Locked: 423, fault.Pending: 409,
		fault.Ambiguous: 409, fault.Exists: 409, fault.Conflict: 409, fault.Held: 409, fault.Empty: 409, fault.Unavailable: 503, fault.Tampered: 500,
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(fault.Kinds())), slices.Sorted(maps.Keys(want))); diff != "" {
		t.Fatalf("kinds (-all +tested):\n%s", diff)
	}
	for kind, status := range want {
		b.err = &fault.Error{Kind: kind, Op: "begin", Msg: "why not", Hint: "do that", Err: errors.New("hunter2")}
		w := ask(h, "POST", "/api/begin", token, `{"kind":"unlock"}`, nil)
		if got := w.Body.String(); w.Code != status || got != `{"error":{"kind":"`+string(kind)+`","message":"why not","hint":"do that"}}` {
			t.Errorf("%s: %d %s", kind, w.Code, got)
		}
	}
	b.err = errors.New("hunter2")
	w := ask(h, "POST", "/api/begin", token, `{"kind":"unlock"}`, nil)
	if w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("an error of no kind: %d %s", w.Code, w.Body)
	}
}

// A defect says nothing of itself to anybody, and to the log not what panicked.
func TestPanic(t *testing.T) {
	f, s, _ := plainServer(t)
	s.Backend = &seen{fake: f, boom: true}
	var logged strings.Builder
	s.Log = func(format string, args ...any) { logged.WriteString(format + " " + args[1].(string)) }
	h := s.Handler()
	token := enter(t, s, h, web.LinkOpen, "")
	w := ask(h, "POST", "/api/begin", token, `{"kind":"unlock"}`, nil)
	if w.Code != 500 || w.Body.String() != "internal error\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(logged.String(), "web.(*Server).begin") || strings.Contains(logged.String(), "hunter2") {
		t.Errorf("logged: %s", logged.String())
	}
}
