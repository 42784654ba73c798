package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed page
var files embed.FS

// scripts of the page, in the order they run.
var scripts = []string{"canon.js", "seal.js", "passkey.js", "show.js", "page.js"}

// asset is a file that anybody may have: it holds no data.
type asset struct {
	path string
	kind string
	text []byte
}

func (a asset) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	_, _ = w.Write(a.text)
}

type page struct {
	assets []asset
	policy string // Content-Security-Policy
}

// readPage puts the page together. The browser runs no script and applies no style
// but these, by their hashes: scripts by integrity attributes and the policy, the
// style within the page, since policies know no hash of a style sheet elsewhere.
func readPage() page {
	html, style := must("page.html"), must("style.css")
	var tags, hashes []string
	var p page
	for _, name := range scripts {
		text := must(name)
		tags = append(tags, `<script src="/`+name+`" integrity="`+pin(text)+`" defer></script>`)
		hashes = append(hashes, "'"+pin(text)+"'")
		p.assets = append(p.assets, asset{"/" + name, "text/javascript; charset=utf-8", text})
	}
	html = bytes.Replace(html, []byte("{{style}}"), style, 1)
	html = bytes.Replace(html, []byte("{{scripts}}"), []byte(strings.Join(tags, "\n")), 1)
	p.assets = append(p.assets, asset{"/{$}", "text/html; charset=utf-8", html})
	p.policy = strings.Join([]string{
		"default-src 'none'",
		"script-src " + strings.Join(hashes, " "),
		"style-src '" + pin(style) + "'",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
	return p
}

func must(name string) []byte {
	b, err := files.ReadFile("page/" + name)
	if err != nil {
		panic("web: " + err.Error()) // it is part of the program
	}
	return b
}

// pin is a hash as policies and integrity attributes write it.
func pin(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}
