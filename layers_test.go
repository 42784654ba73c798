package thumbturn

// The map of doc.go as a test, with the limits of the code beside it.
//
// A rule is a function of a tree: the packages under a directory and what they
// import. It returns one line per breach. It first makes sure that it saw
// something to judge, because a rule that matches nothing passes for ever.
// While rooms are still being built they are simply not there; once both
// mains exist the tree is whole, and a room that a rule names must exist.
//
// Each rule is proved by a small module under testdata/layers which breaks it;
// there the messages are compared, not only the colour.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/thumbturn/thumbturn"

// ---- the reviewed tables ----

// floor is one storey of the map. Patterns are those of path.Match.
type floor struct {
	name   string
	rooms  []string
	below  []string // names of the floors it may import
	reason string   // printed with every breach
}

var floors = []floor{
	{"0", []string{".", "ref", "api", "internal/fault", "internal/mask", "internal/dotenv", "internal/atomicfile", "internal/digest", "internal/escape", "internal/recipe", "internal/local",
		"internal/term", "internal/strict", "internal/ptytest", "internal/term/ptytest"},
		nil, "words import nothing of ours"},
	{"1", []string{"internal/policy", "internal/sealed", "internal/canon", "internal/proof", "internal/proof/internal/*", "internal/agent", "internal/project", "internal/foreign", "internal/archive"},
		[]string{"0"}, "rules are pure and know only words"},
	{"2a", []string{"internal/kernel", "internal/logind", "internal/logind/logindtest", "internal/away", "internal/winhello", "internal/fprint", "internal/fprint/fprinttest", "internal/tpm", "internal/tpm/tpmtest", "internal/desktop", "internal/config", "internal/store", "internal/store/sqlite", "internal/store/storetest"},
		[]string{"0", "1"}, "what the system and the disk hold knows no caller, no ledger and no key"},
	{"2b", []string{"internal/identity", "internal/approve", "internal/approve/hello", "internal/approve/approvetest", "internal/ledger", "internal/device"},
		[]string{"0", "1", "2a"}, "durable facts stand side by side; the broker alone brings them together"},
	{"3", []string{"internal/broker", "internal/broker/into", "internal/broker/sign", "internal/broker/handoff",
		"internal/broker/reveal", "internal/broker/answer", "internal/broker/account", "internal/broker/vault", "internal/broker/grant", "internal/broker/lease", "internal/broker/passkey", "internal/broker/ways", "internal/broker/internal/gate", "internal/broker/internal/slot", "internal/broker/internal/open", "internal/broker/internal/sink",
		"internal/broker/internal/book", "internal/broker/internal/wire", "internal/broker/internal/form", "internal/broker/internal/past", "internal/broker/internal/spare", "internal/broker/internal/audit",
		"internal/broker/internal/arena", "internal/broker/internal/pieces", "internal/broker/internal/latch", "internal/broker/internal/pace", "internal/broker/internal/chip"},
		[]string{"0", "1", "2a", "2b"}, "the waist knows no door"},
	{"4a", []string{"internal/door/socket", "internal/door/egress", "internal/door/web", "internal/door/connect",
		"internal/door/sshagent", "internal/door/team", "internal/door/web/webtest"},
		[]string{"0", "1", "2a", "2b", "3"}, "a door is one protocol and knows no other door"},
	{"4a top", []string{"internal/daemon"},
		[]string{"0", "1", "2a", "2b", "3", "4a"}, "the daemon assembles the doors and knows no other process"},
	{"4b sdk", []string{"sdk", "sdk/sdktest"},
		nil, "a stranger's program links the SDK, so it imports api and ref only"},
	{"4b shared", []string{"internal/cli/internal/*"},
		[]string{"0", "1", "4b sdk"}, "what the commands share is no command"},
	{"4b", []string{"internal/cli/*", "internal/mcp", "internal/hook", "internal/helper", "internal/scan"},
		[]string{"0", "1", "4b sdk", "4b shared"}, "another process reaches the daemon through the SDK and never links the broker"},
	{"4b root", []string{"internal/cli"},
		[]string{"0", "1", "4b sdk", "4b shared", "4b"}, "another process reaches the daemon through the SDK and never links the broker"},
	{"5", []string{"cmd/thumbturn", "cmd/thumbturnd", "demo", "demo/browser", "demo/leak", "demo/servers", "demo/session", "bench", "bench/floor", "bench/masking", "bench/prompts", "bench/prompts/home", "bench/table", "internal/e2e", "spec"},
		[]string{"0", "1", "2a", "2b", "3", "4a", "4a top", "4b sdk", "4b shared", "4b", "4b root"}, "a main is imported by nobody"},
}

// sideways lists the imports that the floors forbid and we allow.
var sideways = []struct{ from, to, reason string }{
	{"internal/sealed", "internal/canon", "a record's context is a canonical tuple"},
	{"internal/proof", "internal/proof/internal/*", "the verifier uses its own tree"},
	{"internal/proof/internal/gesture", "internal/proof/internal/form", "what a gesture left is read as the rest is"},
	{"internal/store/sqlite", "internal/store", "a home of the store implements it"},
	{"internal/store/storetest", "internal/store", "the conformance suite speaks the store's words"},
	{"internal/term/ptytest", "internal/term", "the test terminal drives the real one"},
	{"internal/broker", "internal/broker/*", "the waist uses its own tree"},
	{"internal/broker", "internal/broker/internal/*", "the waist uses its own tree"},
	{"internal/broker/*", "internal/broker/internal/sink", "sinks are built in the broker's tree only"},
	{"internal/broker/handoff", "internal/broker/internal/wire", "values leave as frames in one place"},
	{"internal/broker/reveal", "internal/broker/internal/wire", "values leave as frames in one place"},
	{"internal/broker/internal/wire", "internal/broker/internal/sink", "it writes what a sink delivers"},
	{"internal/broker/internal/open", "internal/broker/internal/arena", "keys and values lie in locked memory"},
	{"internal/broker/internal/slot", "internal/broker/internal/arena", "keys and values lie in locked memory"},
	{"internal/broker/internal/open", "internal/broker/internal/slot", "what secrets open, the keyring holds"},
	{"internal/broker/passkey", "internal/broker/internal/*", "a passkey is a statement and slots, made through the gate"},
	{"internal/broker/account", "internal/broker/passkey", "passkeys are part of an account's life"},
	{"internal/broker/ways", "internal/broker/internal/*", "a PIN is a statement and slots, made through the gate"},
	{"internal/broker/account", "internal/broker/ways", "ways in are part of an account's life"},
	{"internal/broker/passkey", "internal/broker/ways", "passkeys stand beside the other ways in"},
	{"internal/broker/internal/chip", "internal/broker/internal/slot", "what the TPM keeps is named after a slot"},
	{"internal/broker/internal/book", "internal/broker/internal/open", "metadata opens with the keyring"},
	{"internal/broker/internal/book", "internal/broker/internal/pieces", "a long value is written piece by piece before its manifest"},
	{"internal/broker/internal/past", "internal/broker/internal/pieces", "pieces are erased with what lists them"},
	{"internal/broker/internal/past", "internal/broker/internal/book", "the past is read as the present is"},
	{"internal/broker/internal/spare", "internal/broker/internal/book", "a copy is replayed as the original is"},
	{"internal/broker/internal/spare", "internal/broker/internal/open", "the book of a copy holds the keyring"},
	{"internal/broker/internal/audit", "internal/broker/internal/book", "what was recorded is told by names"},
	{"internal/broker/internal/audit", "internal/broker/internal/open", "events open with the keyring"},
	{"internal/broker/internal/gate", "internal/broker/internal/*", "asking needs the account and the gesture"},
	{"internal/broker/vault", "internal/broker/internal/*", "items are written through the gate"},
	{"internal/broker/grant", "internal/broker/internal/*", "a grant is a statement, made through the gate"},
	{"internal/broker/answer", "internal/broker/internal/*", "an answer goes through the gate"},
	{"internal/broker/answer", "internal/broker/lease", "who answers may end what was given"},
	{"internal/broker/lease", "internal/broker/internal/*", "a lease is made and checked through the gate"},
	{"internal/broker/internal/latch", "internal/broker/internal/open", "what is refused at a lock is locked"},
	{"internal/broker/internal/pace", "internal/broker/internal/open", "what is refused at a lock is locked"},
	{"internal/broker/account", "internal/broker", "it makes the one broker of its account"},
	{"internal/broker/account", "internal/broker/internal/*", "an account's life is its statements and its keyring"},
	{"internal/approve/hello", "internal/approve", "what Windows Hello signs is checked as what a page gives"},
	{"internal/ledger", "internal/device", "the device signs the head and keeps its pin"},
	{"demo", "demo/*", "the story, and what it is played with"},
	{"demo/browser", "demo/session", "a browser leads a session of its own, to be ended whole"},
	{"bench", "bench/*", "the table, and what is measured apart"},
	{"bench/masking", "bench/table", "rows of the same table"},
	{"bench/prompts", "bench/table", "rows of the same table"},
	{"bench/prompts", "bench/prompts/home", "the account in which traces are replayed"},
	{"sdk", "api", "the wire"},
	{"sdk", "ref", "the grammar of references"},
	{"sdk/sdktest", "api", "a fake daemon speaks the wire"},
	{"sdk/sdktest", "sdk", "a fake daemon for tests of programs over the SDK"},
}

// importers lists, for packages that not everybody below the roof may use, all
// who import them outside tests.
var importers = []struct {
	room   string
	by     []string
	reason string
}{
	{"internal/broker/reveal", []string{"internal/door/socket", "bench/prompts"}, "it hands plaintext to the caller"},
	{"internal/broker/handoff", []string{"internal/door/socket", "bench/prompts"}, "it hands plaintext to a child of the caller"},
	{"internal/daemon", []string{"cmd/thumbturnd"}, "only the daemon's main assembles the daemon"},
	{"internal/broker/account", []string{"internal/door/socket", "internal/daemon", "bench/prompts/home"}, "it founds, opens and locks the account"},
	{"internal/store/storetest", nil, "test support"},
	{"sdk/sdktest", nil, "test support"},
	{"internal/ptytest", nil, "test support"},
	{"internal/term/ptytest", nil, "test support"},
	{"internal/logind/logindtest", nil, "test support"},
	{"internal/tpm/tpmtest", nil, "test support"},
	{"internal/fprint/fprinttest", nil, "test support"},
	{"internal/door/web/webtest", nil, "test support"},
	{"internal/approve/approvetest", nil, "test support"},
}

// ciphers says who may import what can open or seal bytes.
var ciphers = map[string][]string{
	"crypto/aes":                           {"internal/sealed", "internal/broker/internal/open", "internal/broker/internal/slot"},
	"crypto/cipher":                        {"internal/sealed", "internal/broker/internal/open", "internal/broker/internal/slot"},
	"crypto/hpke":                          {"internal/sealed", "internal/broker/internal/open", "internal/broker/internal/slot", "internal/device", "internal/approve/approvetest"}, // device: public derivation only
	"golang.org/x/crypto/chacha20":         {"internal/sealed", "internal/broker/internal/open", "internal/broker/internal/slot"},
	"golang.org/x/crypto/chacha20poly1305": {"internal/sealed", "internal/broker/internal/open", "internal/broker/internal/slot"},
	"golang.org/x/crypto/argon2":           {"internal/sealed", "internal/broker/internal/open", "internal/broker/internal/slot", "bench"}, // bench: a floor to measure against,
}

// escapes are the ways around Go's types. escapesAllowed names the exceptions
// as "package import" with the reason; it is empty and should stay so.
var (
	escapes        = []string{"unsafe", "reflect", "plugin", "C"}
	escapesAllowed = map[string]string{}
)

// otherProcesses do not reach what notReached lists, over all dependencies.
var (
	otherProcesses = []string{"cmd/thumbturn", "sdk", "internal/cli", "internal/cli/*", "internal/cli/internal/*",
		"internal/mcp", "internal/hook", "internal/helper", "internal/scan"}
	notReached = []string{module + "/internal/broker", module + "/internal/store", module + "/internal/ledger",
		module + "/internal/door", "modernc.org/sqlite"}
)

// pureForbidden are the imports and the functions of package time by which a
// pure package would see the world.
var (
	pureForbidden = []string{"os", "os/exec", "os/signal", "os/user", "io/ioutil", "syscall", "net", "net/http", "golang.org/x/sys/unix", "golang.org/x/sys/windows"}
	clock         = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
)

// limit bounds the size of things; lines count from the first to the last, but
// for pkg and waist, which count lines that hold code.
type limit struct{ file, function, main, pkg, waist, methods, fields int }

var limits = limit{file: 600, function: 70, main: 30, pkg: 1200, waist: 500, methods: 7, fields: 15}

// makers are the calls that may fill a package-level variable: what they
// return never changes. Calls of internal/fault make errors and pass too.
var makers = []string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "base32.NewEncoding", "base64.NewEncoding"}

// dependencies are the modules that we import ourselves. rooms, where given,
// are the only ones to do so; "tests" means test files only.
var dependencies = map[string]struct {
	rooms  []string
	reason string
}{
	"filippo.io/age":                   {[]string{"internal/cli/export"}, "the form of an encrypted export, which other tools open"},
	"github.com/cedar-policy/cedar-go": {[]string{"internal/policy"}, "the policy language: default deny, forbid wins"},
	"github.com/chromedp/cdproto":      {[]string{"tests", "internal/door/web/webtest", "demo/browser"}, "the browser's virtual authenticators"},
	"github.com/chromedp/chromedp":     {[]string{"tests", "internal/door/web/webtest", "demo/browser"}, "the approval page in a real browser"},
	"github.com/ebitengine/purego":     {[]string{"internal/away", "internal/fprint", "internal/winhello"}, "libraries of macOS and Windows, without cgo"},
	"github.com/go-webauthn/webauthn":  {[]string{"internal/approve"}, "the first of two checks of what passkeys answer"},
	"github.com/godbus/dbus/v5":        {[]string{"internal/logind", "internal/logind/logindtest", "internal/desktop", "internal/fprint", "internal/fprint/fprinttest", "tests"}, "the buses: logind tells of suspend, screen lock and logout; the desktop is told that a request waits; fprintd says whether a finger matched"},
	"github.com/google/go-cmp":         {[]string{"tests", "internal/store/storetest"}, "differences in tests"},
	"github.com/google/go-tpm":         {[]string{"internal/tpm", "internal/tpm/tpmtest"}, "the TPM's commands, in Go alone"},
	"github.com/pelletier/go-toml/v2":  {[]string{"internal/project", "internal/config"}, "the syntax of TOML, with the place of every word"},
	"github.com/rogpeppe/go-internal":  {[]string{"tests"}, "scripts for the command line"},
	"github.com/spf13/cobra":           {[]string{"cmd/thumbturn", "internal/cli", "internal/cli/*", "internal/cli/internal/complete"}, "commands and completion"},
	"github.com/spf13/pflag":           {[]string{"internal/cli/man", "internal/cli/internal/complete"}, "cobra's flags, to walk over them"},
	"golang.org/x/crypto":              {nil, "Argon2id; the SSH protocol"},
	"golang.org/x/mod":                 {[]string{"internal/ledger"}, "the Merkle log (tlog) and signed notes"},
	"golang.org/x/sys":                 {nil, "locked memory, peer credentials, terminals"},
	"modernc.org/sqlite":               {[]string{"internal/store/sqlite"}, "SQLite without cgo"},
	"pgregory.net/rapid":               {[]string{"tests"}, "properties in tests"},
}

// elsewhere are the modules that a Linux binary would not be static with: only files
// of other systems may import them.
var elsewhere = []string{"github.com/ebitengine/purego"}

// ---- the tree ----

type source struct {
	name string // base name
	test bool
	text []byte
	ast  *ast.File
}

type room struct {
	path  string // under the module; "." is its root
	files []source
}

// imports returns what the room's files import on any system, under any build
// tag, sorted.
func (r *room) imports(test bool) []string {
	all := map[string]bool{}
	for _, f := range r.files {
		if f.test != test {
			continue
		}
		for _, spec := range f.ast.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// code yields the room's files that are not tests.
func (r *room) code() []source {
	return slices.DeleteFunc(slices.Clone(r.files), func(f source) bool { return f.test })
}

type goMod struct {
	Require []struct{ Path string }
	Replace []struct {
		Old, New struct{ Path string }
	}
}

type tree struct {
	dir     string
	rooms   map[string]*room
	fset    *token.FileSet
	graph   map[string]map[string]bool // import path to its imports, from go list
	mod     goMod
	broken  []string // what go list said of a tree that it cannot list
	machine []string // paths of this machine
}

// sorted yields the rooms in the order of their paths.
func (t *tree) sorted() []*room {
	var all []*room
	for _, p := range slices.Sorted(maps.Keys(t.rooms)) {
		all = append(all, t.rooms[p])
	}
	return all
}

func (t *tree) has(path string) bool { return t.rooms[path] != nil }

// whole reports whether both mains stand, and so all that rules name must.
func (t *tree) whole() bool { return t.has("cmd/thumbturn") && t.has("cmd/thumbturnd") }

// ours returns the path under the module of one of our packages.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func short(importPath string) string {
	if p, ok := ours(importPath); ok {
		return p
	}
	return importPath
}

// standard reports whether a package is of the standard library.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
}

func nothing(what string) []string { return []string{"matched nothing: " + what} }

// load reads the tree at dir. Files are read whatever their build tags, since
// go list passes over a package that no tag of today selects; go list adds the
// graph of all dependencies for each of the systems.
func load(t *testing.T, dir string, systems ...string) *tree {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{dir: dir, rooms: map[string]*room{}, fset: token.NewFileSet(), graph: map[string]map[string]bool{}}
	if err := filepath.WalkDir(dir, tr.visit); err != nil {
		t.Fatal(err)
	}
	out, err := goCommand(dir, "", "mod", "edit", "-json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &tr.mod); err != nil {
		t.Fatal(err)
	}
	for _, system := range systems {
		tr.list(t, system)
	}
	return tr
}

func (t *tree) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	base := d.Name()
	if d.IsDir() {
		if name == t.dir {
			return nil
		}
		_, nested := os.Stat(filepath.Join(name, "go.mod"))
		if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || nested == nil {
			return fs.SkipDir
		}
		return nil
	}
	if !strings.HasSuffix(base, ".go") || strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.dir, filepath.Dir(name))
	if err != nil {
		return err
	}
	p := filepath.ToSlash(rel)
	if t.rooms[p] == nil {
		t.rooms[p] = &room{path: p}
	}
	t.rooms[p].files = append(t.rooms[p].files, source{base, strings.HasSuffix(base, "_test.go"), text, parsed})
	return nil
}

// list adds the dependencies on one system. A tree that go cannot list has no
// graph to judge: reachRule then repeats go's own message.
func (t *tree) list(tt *testing.T, system string) {
	tt.Helper()
	out, err := goCommand(t.dir, system, "list", "-deps", "-json=ImportPath,Imports", "./...")
	if err != nil {
		t.broken = append(t.broken, err.Error())
		return
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			tt.Fatal(err)
		}
		if t.graph[p.ImportPath] == nil {
			t.graph[p.ImportPath] = map[string]bool{}
		}
		for _, i := range p.Imports {
			t.graph[p.ImportPath][i] = true
		}
	}
}

func goCommand(dir, system string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if system != "" {
		cmd.Env = append(cmd.Env, "GOOS="+system)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s (%s): %w: %s", strings.Join(args, " "), system, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// chain returns the shortest way from one package to the first dependency that
// stop accepts, and nil if there is none.
func (t *tree) chain(from string, stop func(string) bool) []string {
	way := map[string][]string{from: {short(from)}}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range slices.Sorted(maps.Keys(t.graph[queue[0]])) {
			if way[next] != nil {
				continue
			}
			way[next] = append(slices.Clone(way[queue[0]]), short(next))
			if stop(next) {
				return way[next]
			}
			queue = append(queue, next)
		}
	}
	return nil
}

// ---- the rules ----

func floorOf(p string) *floor {
	for i := range floors {
		if matches(floors[i].rooms, p) {
			return &floors[i]
		}
	}
	return nil
}

// floorRule: imports point down, save where sideways says so.
func floorRule(t *tree) []string {
	if len(t.rooms) == 0 {
		return nothing("no package of ours")
	}
	var bad []string
	for _, r := range t.sorted() {
		from := floorOf(r.path)
		if from == nil {
			bad = append(bad, r.path+" is not on the map: add it to doc.go and to the floor table")
			continue
		}
		for _, i := range r.imports(false) {
			p, mine := ours(i)
			to := floorOf(p)
			if !mine || to == nil || slices.Contains(from.below, to.name) || exempt(r.path, p) {
				continue
			}
			way := "upward or across"
			if from.name == to.name {
				way = "sideways"
			}
			bad = append(bad, fmt.Sprintf("%s (floor %s) → %s (floor %s) goes %s: %s", r.path, from.name, p, to.name, way, from.reason))
		}
	}
	return bad
}

func exempt(from, to string) bool {
	for _, s := range sideways {
		if matches([]string{s.from}, from) && matches([]string{s.to}, to) {
			return true
		}
	}
	return false
}

// importerRule: who imports a dangerous package equals a written list.
func importerRule(t *tree) []string {
	if len(t.rooms) == 0 {
		return nothing("no package of ours")
	}
	var bad []string
	for _, rule := range importers {
		if !t.has(rule.room) {
			if t.whole() && len(rule.by) > 0 {
				bad = append(bad, nothing("no package "+rule.room)...)
			}
			continue
		}
		for _, r := range t.sorted() {
			imports := slices.Contains(r.imports(false), module+"/"+rule.room)
			listed := slices.Contains(rule.by, r.path)
			if imports && !listed {
				bad = append(bad, fmt.Sprintf("%s → %s is not on the list of its importers: %s", r.path, rule.room, rule.reason))
			}
			if listed && !imports {
				bad = append(bad, fmt.Sprintf("matched nothing: %s is listed as an importer of %s and is none", r.path, rule.room))
			}
		}
	}
	return bad
}

// cipherRule: only the sealing and the opening package touch ciphers.
func cipherRule(t *tree) []string {
	var bad []string
	seen := 0
	for _, r := range t.sorted() {
		for _, i := range r.imports(false) {
			allowed, cipher := ciphers[i]
			if !cipher {
				continue
			}
			seen++
			if !slices.Contains(allowed, r.path) {
				bad = append(bad, fmt.Sprintf("%s imports %s: only %s may", r.path, i, strings.Join(allowed, ", ")))
			}
		}
	}
	if seen == 0 {
		return nothing("no package imports a cipher")
	}
	return bad
}

// escapeRule: nothing steps around Go's types.
func escapeRule(t *tree) []string {
	var bad []string
	files, used := 0, map[string]bool{}
	found := func(r *room, f source, what string) {
		key := r.path + " " + what
		used[key] = true
		if escapesAllowed[key] == "" {
			bad = append(bad, fmt.Sprintf("%s uses %s: it steps around Go's types", path.Join(r.path, f.name), what))
		}
	}
	for _, r := range t.sorted() {
		for _, f := range r.code() {
			files++
			for _, spec := range f.ast.Imports {
				if name, _ := strconv.Unquote(spec.Path.Value); slices.Contains(escapes, name) {
					found(r, f, name)
				}
			}
			for _, group := range f.ast.Comments {
				for _, c := range group.List {
					if strings.HasPrefix(c.Text, "//go:linkname") {
						found(r, f, "go:linkname")
					}
				}
			}
		}
	}
	if files == 0 {
		return nothing("no source file")
	}
	for _, key := range slices.Sorted(maps.Keys(escapesAllowed)) {
		if !used[key] {
			bad = append(bad, nothing("the exception for "+key+" is unused")...)
		}
	}
	return bad
}

// reachRule: other processes do not link the broker, over all dependencies.
func reachRule(t *tree) []string {
	if len(t.rooms) == 0 {
		return nothing("no package of ours")
	}
	if len(t.broken) > 0 {
		return t.broken
	}
	forbidden := func(p string) bool {
		return slices.ContainsFunc(notReached, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") })
	}
	var bad []string
	for _, r := range t.sorted() {
		if len(r.code()) == 0 || !matches(otherProcesses, r.path) {
			continue
		}
		if len(t.graph[module+"/"+r.path]) == 0 {
			bad = append(bad, nothing("go list knows no import of "+r.path)...)
		}
		if way := t.chain(module+"/"+r.path, forbidden); way != nil {
			bad = append(bad, fmt.Sprintf("%s reaches %s (%s): another process must not link what decrypts or stores",
				r.path, way[len(way)-1], strings.Join(way, " → ")))
		}
	}
	// The daemon does reach them: so the names above are still those of the tree.
	if t.whole() && t.chain(module+"/cmd/thumbturnd", forbidden) == nil {
		bad = append(bad, nothing("not even cmd/thumbturnd reaches the broker")...)
	}
	return bad
}

// pureRule: floor 1 has no I/O, no clock and no goroutine; proof stands on the
// standard library alone, so that a stranger can read all of it.
func pureRule(t *tree) []string {
	var bad []string
	seen := 0
	for _, r := range t.sorted() {
		if f := floorOf(r.path); f == nil || f.name != "1" {
			continue
		}
		seen++
		for _, i := range r.imports(false) {
			if slices.Contains(pureForbidden, i) {
				bad = append(bad, fmt.Sprintf("%s imports %s: a pure package does no I/O", r.path, i))
			}
			if verifier(r.path) && !standard(i) && !verifier(short(i)) {
				bad = append(bad, fmt.Sprintf("%s imports %s: proof stands on the standard library alone", r.path, short(i)))
			}
		}
		for _, f := range r.code() {
			bad = append(bad, t.impure(f)...)
		}
	}
	if seen == 0 {
		return nothing("no package on floor 1")
	}
	return bad
}

// verifier reports whether a room is of the independent verifier.
func verifier(room string) bool { return strings.HasPrefix(room+"/", "internal/proof/") }

func (t *tree) impure(f source) []string {
	clockName := ""
	for _, spec := range f.ast.Imports {
		if spec.Path.Value == `"time"` {
			clockName = "time"
			if spec.Name != nil {
				clockName = spec.Name.Name
			}
		}
	}
	var bad []string
	if clockName == "." {
		bad = append(bad, t.at(f.ast.Pos())+": dot import of time: a pure package has no clock")
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			bad = append(bad, t.at(n.Pos())+": go statement: a pure package has no goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && clockName != "" && x.Name == clockName && slices.Contains(clock, n.Sel.Name) {
				bad = append(bad, t.at(n.Pos())+": time."+n.Sel.Name+": a pure package has no clock")
			}
		}
		return true
	})
	return bad
}

// at prints a position under the tree's directory.
func (t *tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	rel, err := filepath.Rel(t.dir, p.Filename)
	if err != nil {
		rel = p.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(rel), p.Line)
}

// limitRule bounds sizes and forbids hidden state.
func limitRule(max limit) func(*tree) []string {
	return func(t *tree) []string {
		var bad []string
		files := 0
		for _, r := range t.sorted() {
			lines, comment := 0, false
			for _, f := range r.code() {
				files++
				lines += codeLines(f.text)
				comment = comment || f.ast.Doc != nil
				bad = append(bad, t.fileLimits(max, r, f)...)
			}
			if len(r.code()) > 0 && !comment {
				bad = append(bad, r.path+" has no package comment")
			}
			most := max.pkg
			if r.path == "internal/broker" {
				most = max.waist
			}
			if lines > most {
				bad = append(bad, fmt.Sprintf("%s has %d lines of code, at most %d", r.path, lines, most))
			}
		}
		if files == 0 {
			return nothing("no source file")
		}
		return bad
	}
}

func (t *tree) fileLimits(max limit, r *room, f source) []string {
	var bad []string
	over := func(pos token.Pos, what string, n, most int) {
		if n > most {
			bad = append(bad, fmt.Sprintf("%s: %s has %d, at most %d", t.at(pos), what, n, most))
		}
	}
	lines := bytes.Count(f.text, []byte("\n"))
	over(f.ast.FileStart, "the file's number of lines", lines, max.file)
	if strings.HasPrefix(r.path, "cmd/") {
		over(f.ast.FileStart, "a main's number of lines", lines, max.main)
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				bad = append(bad, t.at(d.Pos())+": func init: nothing happens before main")
			}
			over(d.Pos(), "func "+d.Name.Name+"'s number of lines", t.fset.Position(d.End()).Line-t.fset.Position(d.Pos()).Line+1, max.function)
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				bad = append(bad, t.variables(d)...)
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.InterfaceType:
			over(n.Pos(), "an interface's number of methods", fields(n.Methods), max.methods)
		case *ast.StructType:
			if !message(t.fset.Position(n.Pos()).Filename) {
				over(n.Pos(), "a struct's number of fields", fields(n.Fields), max.fields)
			}
		}
		return true
	})
	return bad
}

// message reports whether a file is of a package that describes messages: their
// structs are as wide as the format says.
func message(file string) bool {
	dir := path.Dir(filepath.ToSlash(file))
	return slices.ContainsFunc([]string{"api", "internal/canon", "internal/proof/internal/form"}, func(d string) bool {
		return dir == d || strings.HasSuffix(dir, "/"+d)
	})
}

// fields counts names; an embedded type is one.
func fields(list *ast.FieldList) int {
	n := 0
	for _, f := range list.List {
		n += max(1, len(f.Names))
	}
	return n
}

// variables finds the package-level variables that are not constant in effect:
// errors, regular expressions, tables, functions, embedded files, guards.
func (t *tree) variables(d *ast.GenDecl) []string {
	var bad []string
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		if embedded(d.Doc) || embedded(spec.Doc) {
			continue
		}
		for i, name := range spec.Names {
			if name.Name == "_" || len(spec.Values) == len(spec.Names) && fixed(spec.Values[i]) {
				continue
			}
			bad = append(bad, fmt.Sprintf("%s: var %s: package-level state; only errors, regular expressions, tables, functions, embedded files and guards may stand there", t.at(name.Pos()), name.Name))
		}
	}
	return bad
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.FuncLit:
		return true
	case *ast.UnaryExpr:
		return e.Op == token.AND && fixed(e.X)
	case *ast.CompositeLit:
		sel, ok := e.Type.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, _ := sel.X.(*ast.Ident)
		return from == nil || from.Name != "sync" && from.Name != "atomic" // a lock is state
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		if !ok {
			kind, _ := e.Fun.(*ast.Ident)
			return kind != nil && kind.Name == "error" // a conversion
		}
		if from, ok := sel.X.(*ast.Ident); ok {
			return from.Name == "fault" || slices.Contains(makers, from.Name+"."+sel.Sel.Name)
		}
		return fixed(sel.X) // a method of what a maker made: NewEncoding(…).WithPadding(…)
	}
	return false
}

// codeLines counts the lines that hold more than blanks and comments.
func codeLines(text []byte) int {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && lit != ";" { // put there by the scanner
			continue
		}
		first := file.Line(pos)
		for n := range 1 + strings.Count(lit, "\n") {
			lines[first+n] = true
		}
	}
}

// dependencyRule: the modules that we import ourselves equal the reviewed list.
func dependencyRule(t *tree) []string {
	if len(t.rooms) == 0 {
		return nothing("no package of ours")
	}
	var bad []string
	used := map[string]bool{}
	for _, r := range t.sorted() {
		for _, test := range []bool{false, true} {
			for _, i := range r.imports(test) {
				if _, mine := ours(i); mine || standard(i) {
					continue
				}
				m := t.moduleOf(i)
				used[m] = true
				if d, ok := dependencies[m]; !ok {
					bad = append(bad, fmt.Sprintf("%s imports %s of module %q, which is not on the reviewed list", r.path, i, m))
				} else if len(d.rooms) > 0 && !test && !matches(d.rooms, r.path) {
					bad = append(bad, fmt.Sprintf("%s imports %s: %s is for %s only", r.path, i, m, strings.Join(d.rooms, ", ")))
				}
			}
		}
	}
	for _, r := range t.sorted() {
		for _, f := range r.files {
			for _, spec := range f.ast.Imports {
				i, _ := strconv.Unquote(spec.Path.Value)
				if m := t.moduleOf(i); slices.Contains(elsewhere, m) && !matches([]string{"*_darwin.go", "*_windows.go"}, f.name) {
					bad = append(bad, fmt.Sprintf("%s imports %s: only files for macOS or Windows alone may import %s", path.Join(r.path, f.name), i, m))
				}
			}
		}
	}
	if t.whole() {
		for _, m := range slices.Sorted(maps.Keys(dependencies)) {
			if !used[m] {
				bad = append(bad, nothing("nobody imports the reviewed module "+m)...)
			}
		}
	}
	return bad
}

func (t *tree) moduleOf(importPath string) string {
	best := ""
	for _, r := range t.mod.Require {
		if (importPath == r.Path || strings.HasPrefix(importPath, r.Path+"/")) && len(r.Path) > len(best) {
			best = r.Path
		}
	}
	return best
}

// replaceRule: what go.mod names is what is built.
func replaceRule(t *tree) []string {
	if len(t.mod.Require) == 0 {
		return nothing("go.mod requires no module")
	}
	var bad []string
	for _, r := range t.mod.Replace {
		bad = append(bad, fmt.Sprintf("go.mod replaces %s by %s: what it names must be what is built", r.Old.Path, r.New.Path))
	}
	return bad
}

// machineRule: no text of the project names a path of the machine that wrote it.
func machineRule(t *tree) []string {
	if len(t.machine) == 0 {
		return nothing("no path of this machine is known")
	}
	var bad []string
	read := 0
	err := filepath.WalkDir(t.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(t.dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (rel == ".git" || rel == "bin") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 || bytes.HasPrefix(text, []byte("\x7fELF")) {
			return nil
		}
		read++
		for _, p := range t.machine {
			if i := bytes.Index(text, []byte(p)); i >= 0 {
				bad = append(bad, fmt.Sprintf("%s:%d names a path of this machine", rel, 1+bytes.Count(text[:i], []byte("\n"))))
				break
			}
		}
		return nil
	})
	if err != nil {
		return []string{err.Error()}
	}
	if read < 2 { // go.mod alone is no text
		return nothing("no text read")
	}
	return bad
}

// machinePaths are the checkout, what lies beside it, and the module cache; a
// directory directly under the root could be anybody's and is left out.
func machinePaths(t *testing.T, dir string) []string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := goCommand(dir, "", "env", "GOMODCACHE")
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{strings.TrimSpace(string(cache))}
	if parent := filepath.Dir(abs); parent != filepath.Dir(parent) {
		beside, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range beside {
			paths = append(paths, filepath.Join(parent, d.Name()))
		}
	}
	return paths
}

var rules = []struct {
	name  string
	check func(*tree) []string
}{
	{"floors", floorRule},
	{"importers", importerRule},
	{"ciphers", cipherRule},
	{"escapes", escapeRule},
	{"reach", reachRule},
	{"pure", pureRule},
	{"limits", limitRule(limits)},
	{"dependencies", dependencyRule},
	{"replace", replaceRule},
	{"machine", machineRule},
}

// TestMap judges this repository.
func TestMap(t *testing.T) {
	tr := load(t, ".", "linux", "darwin", "windows")
	tr.machine = machinePaths(t, ".")
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, breach := range rule.check(tr) {
				t.Error(breach)
			}
		})
	}
}

// TestRulesTurnRed runs each rule over a module that breaks it.
func TestRulesTurnRed(t *testing.T) {
	const waist = ": another process must not link what decrypts or stores"
	for _, c := range []struct {
		dir   string
		check func(*tree) []string
		want  []string
	}{
		{"floors", floorRule, []string{
			"internal/broker (floor 3) → internal/door/socket (floor 4a) goes upward or across: the waist knows no door",
			"internal/door/socket (floor 4a) → internal/door/web (floor 4a) goes sideways: a door is one protocol and knows no other door",
			"internal/ledger (floor 2b) → internal/identity (floor 2b) goes sideways: durable facts stand side by side; the broker alone brings them together",
			"internal/mask (floor 0) → internal/fault (floor 0) goes sideways: words import nothing of ours",
			"internal/mcp (floor 4b) → internal/ledger (floor 2b) goes upward or across: another process reaches the daemon through the SDK and never links the broker",
			"internal/util is not on the map: add it to doc.go and to the floor table",
			"sdk (floor 4b sdk) → internal/fault (floor 0) goes upward or across: a stranger's program links the SDK, so it imports api and ref only",
		}},
		{"importers", importerRule, []string{
			"matched nothing: internal/door/socket is listed as an importer of internal/broker/reveal and is none",
			"internal/door/web → internal/broker/reveal is not on the list of its importers: it hands plaintext to the caller",
			"internal/door/web → internal/broker/handoff is not on the list of its importers: it hands plaintext to a child of the caller",
			"demo → internal/daemon is not on the list of its importers: only the daemon's main assembles the daemon",
			"internal/daemon → internal/store/storetest is not on the list of its importers: test support",
		}},
		{"ciphers", cipherRule, []string{
			"internal/device imports crypto/cipher: only internal/sealed, internal/broker/internal/open, internal/broker/internal/slot may",
			"internal/ledger imports crypto/aes: only internal/sealed, internal/broker/internal/open, internal/broker/internal/slot may",
			"internal/ledger imports crypto/hpke: only internal/sealed, internal/broker/internal/open, internal/broker/internal/slot, internal/device, internal/approve/approvetest may",
			"internal/store imports golang.org/x/crypto/argon2: only internal/sealed, internal/broker/internal/open, internal/broker/internal/slot, bench may",
		}},
		{"escapes", escapeRule, []string{
			"internal/fault/c.go uses C: it steps around Go's types",
			"internal/fault/link.go uses unsafe: it steps around Go's types",
			"internal/fault/link.go uses go:linkname: it steps around Go's types",
			"internal/fault/walk_plan9.go uses plugin: it steps around Go's types",
			"internal/fault/walk_plan9.go uses reflect: it steps around Go's types",
		}},
		{"reach", reachRule, []string{
			"internal/cli/run reaches internal/broker (internal/cli/run → internal/scan → internal/broker)" + waist,
			"internal/scan reaches internal/broker (internal/scan → internal/broker)" + waist,
			"sdk reaches internal/store/sqlite (sdk → internal/store/sqlite)" + waist,
		}},
		{"pure", pureRule, []string{
			"internal/canon imports os: a pure package does no I/O",
			"internal/canon/canon.go:13: time.Now: a pure package has no clock",
			"internal/canon/canon.go:14: go statement: a pure package has no goroutine",
			"internal/proof imports github.com/google/go-cmp/cmp: proof stands on the standard library alone",
			"internal/proof imports internal/canon: proof stands on the standard library alone",
		}},
		{"limits", limitRule(limit{file: 24, function: 4, main: 6, pkg: 30, waist: 3, methods: 2, fields: 3}), limitsWant},
		{"dependencies", dependencyRule, []string{
			"internal/fault imports example.com/stranger/deep of module \"example.com/stranger\", which is not on the reviewed list",
			"internal/fault imports github.com/google/go-cmp/cmp: github.com/google/go-cmp is for tests, internal/store/storetest only",
			"internal/fault imports modernc.org/sqlite: modernc.org/sqlite is for internal/store/sqlite only",
			"internal/fprint/touch.go imports github.com/ebitengine/purego/objc: only files for macOS or Windows alone may import github.com/ebitengine/purego",
		}},
		{"replace", replaceRule, []string{
			"go.mod replaces golang.org/x/sys by ../sys: what it names must be what is built",
		}},
		{"machine", machineRule, []string{
			"notes.md:3 names a path of this machine",
		}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			var systems []string
			if c.dir == "reach" {
				systems = []string{"linux"}
			}
			tr := load(t, filepath.Join("testdata", "layers", c.dir), systems...)
			tr.machine = []string{"/machine/checkout"}
			if diff := cmp.Diff(c.want, c.check(tr)); diff != "" {
				t.Errorf("breaches (-want +got):\n%s", diff)
			}
		})
	}
}

var limitsWant = []string{
	"cmd/thumbturn/main.go:1: a main's number of lines has 7, at most 6",
	"internal/broker has 4 lines of code, at most 3",
	"internal/fault/fault.go:1: the file's number of lines has 32, at most 24",
	"internal/fault/fault.go:9: var count: package-level state; only errors, regular expressions, tables, functions, embedded files and guards may stand there",
	"internal/fault/fault.go:10: var lock: package-level state; only errors, regular expressions, tables, functions, embedded files and guards may stand there",
	"internal/fault/fault.go:11: var held: package-level state; only errors, regular expressions, tables, functions, embedded files and guards may stand there",
	"internal/fault/fault.go:24: func init: nothing happens before main",
	"internal/fault/fault.go:26: func long's number of lines has 5, at most 4",
	"internal/fault/fault.go:16: a struct's number of fields has 4, at most 3",
	"internal/fault/fault.go:18: an interface's number of methods has 3, at most 2",
	"internal/mask has no package comment",
}

// TestRulesMatchSomething runs every rule over a module in which there is
// nothing to judge, and the rules that name rooms over one whose rooms were
// renamed: each says so instead of passing.
func TestRulesMatchSomething(t *testing.T) {
	empty := load(t, filepath.Join("testdata", "layers", "empty"))
	for _, rule := range rules {
		if got := rule.check(empty); len(got) != 1 || !strings.HasPrefix(got[0], "matched nothing: ") {
			t.Errorf("%s over an empty tree: %q", rule.name, got)
		}
	}
	hollow := load(t, filepath.Join("testdata", "layers", "hollow"), "linux")
	for name, want := range map[string][]string{
		"importers": {
			"matched nothing: no package internal/broker/reveal",
			"matched nothing: no package internal/broker/handoff",
			"matched nothing: no package internal/daemon",
			"matched nothing: no package internal/broker/account",
		},
		"ciphers": {"matched nothing: no package imports a cipher"},
		"reach":   {"matched nothing: not even cmd/thumbturnd reaches the broker"},
		"pure":    {"matched nothing: no package on floor 1"},
	} {
		for _, rule := range rules {
			if rule.name != name {
				continue
			}
			if diff := cmp.Diff(want, rule.check(hollow)); diff != "" {
				t.Errorf("%s over a hollow tree (-want +got):\n%s", name, diff)
			}
		}
	}
	if got := dependencyRule(hollow); len(got) != len(dependencies) {
		t.Errorf("dependencies over a hollow tree: %q", got)
	}
}
