package web

import (
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
)

// permissions takes from the page what it does not need, and gives passkeys to
// nobody but it.
const permissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), " +
	"camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), hid=(), clipboard-read=(), payment=()"

// guard lets through what our own page asks for, and a person's way to it.
//
// The Host must be ours to the letter: that stops DNS rebinding. A page elsewhere
// may lead a person to this page, and nothing else: pages on other ports of
// localhost are "same-site" to a browser, and so as foreign as any. The Origin of
// what changes something must be ours. Programs without a browser can say all of
// this; the token is for them, and the passkey.
func (s *Server) guard(policy string, next http.Handler) http.Handler {
	host := ""
	if u, err := url.Parse(s.Origin); err == nil && u.Scheme+"://"+u.Host == s.Origin {
		host = u.Host
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header(), policy)
		switch {
		case host == "" || r.Host != host:
			plain(w, http.StatusMisdirectedRequest, "this server has another name")
		case !welcome(r):
			plain(w, http.StatusForbidden, "another site asks")
		case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("Origin") != s.Origin:
			plain(w, http.StatusForbidden, "another origin asks")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// welcome judges Sec-Fetch-Site, which pages cannot set. Without it, the other
// rules stand alone.
func welcome(r *http.Request) bool {
	values := r.Header.Values("Sec-Fetch-Site")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	switch values[0] {
	case "same-origin":
		return true
	case "none": // typed, or opened by another program
		return r.Method == http.MethodGet
	}
	return r.Method == http.MethodGet && r.URL.Path == "/" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

func harden(h http.Header, policy string) {
	for _, l := range [][2]string{
		{"Content-Security-Policy", policy},
		{"X-Frame-Options", "DENY"},
		{"X-Content-Type-Options", "nosniff"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Embedder-Policy", "require-corp"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Cache-Control", "no-store"},
		{"Referrer-Policy", "no-referrer"},
		{"Permissions-Policy", permissions},
	} {
		h.Set(l[0], l[1])
	}
}

// calm turns a defect into an answer that says nothing of it.
func (s *Server) calm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if s.Log != nil { // the stack names functions; what panicked could be a value
					s.Log("web: defect at %q: %s", r.URL.Path, stack())
				}
				plain(w, http.StatusInternalServerError, "internal error")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// stack is the calls of this goroutine, without the message of a panic.
func stack() string {
	_, calls, _ := strings.Cut(string(debug.Stack()), "\n")
	return calls
}

func notFound(w http.ResponseWriter) { plain(w, http.StatusNotFound, "not found") }

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
