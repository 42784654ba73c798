package doctor

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/internal/dotenv"
	"github.com/thumbturn/thumbturn/ref"
)

// shapes are values that are credentials by their look, whatever they are
// called.
var shapes = []string{
	`\b(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{8,}`,
	`\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|npm_[A-Za-z0-9]{30,})`,
	`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`,
	`://[^/\s:@]*:[^/\s@$<{]{3,}@`,
	`-----BEGIN [A-Z ]*PRIVATE KEY-----`,
}

// telling are names that say of their values that they are secret; innocent are
// the values that all the same are none: references, variables, numbers, words
// for a switch, paths, and what stands in examples.
const (
	telling  = `(?i)(?:^|_)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|credentials?|private_?key|access_?key|secret_?key|auth)(?:_|$)|(?:password|secret|token|apikey)$`
	innocent = `(?i)^(?:[0-9.,:]*|true|false|yes|no|on|off|none|null|(?:~|\.{0,2})/.*|[a-z]:\\.*|.*(?:<[^>]*>|\.\.\.|…|\$\{?[a-z_]).*|(?:your|my|an?|the|some)[-_ ].*|.*(?:change[-_ ]?me|example|placeholder|dummy|redacted|concealed).*|x+|\*+)$`
)

// minValue is how long a value under a telling name has to be, in bytes.
const minValue = 8

// guess tells what looks like a credential. It is made when it is needed: no
// other command pays for it.
type guess struct {
	shapes            []*regexp.Regexp
	telling, innocent *regexp.Regexp
}

func newGuess() guess {
	g := guess{telling: regexp.MustCompile(telling), innocent: regexp.MustCompile(innocent)}
	for _, s := range shapes {
		g.shapes = append(g.shapes, regexp.MustCompile(s))
	}
	return g
}

// credential reports whether a variable holds what looks like a credential.
func (g guess) credential(name, value string) bool {
	if ref.IsRef(value) {
		return false
	}
	if g.shaped(value) {
		return true
	}
	return g.telling.MatchString(name) && len(value) >= minValue && !strings.Contains(value, " ") && !g.innocent.MatchString(value)
}

func (g guess) shaped(text string) bool {
	return slices.ContainsFunc(g.shapes, func(re *regexp.Regexp) bool { return re.MatchString(text) })
}

// called is a name as it may be printed: not where a part of it looks like a
// value.
func (g guess) called(name string) string {
	if len(name) > 100 {
		return "a variable"
	}
	for i := range len(name) { // a shape wants a word to begin: let one begin everywhere
		if g.shaped(name[i:]) {
			return "a variable"
		}
	}
	return name
}

// environment names the variables that hold credentials.
func (o Options) environment() []Finding {
	const check = "environment"
	var names []string
	g := newGuess()
	for _, kv := range o.Environ {
		if name, value, ok := strings.Cut(kv, "="); ok && g.credential(name, value) {
			names = append(names, g.called(name))
		}
	}
	if len(names) == 0 {
		return []Finding{{check, OK, "no variable looks like a plaintext credential", ""}}
	}
	slices.Sort(names)
	return []Finding{{check, Warning, "looks like plaintext credentials, which every program you start can read: " + strings.Join(slices.Compact(names), ", "),
		"store each with `thumbturn set REF`, export the reference, and start programs with `thumbturn run --`"}}
}

// maxLoose bounds what is read of a file, in bytes.
const maxLoose = 1 << 20

// loose names the lines of env files in the working directory that hold
// credentials.
func (o Options) loose() []Finding {
	const check = "files"
	dir, err := o.Dir()
	if err != nil {
		return []Finding{{check, Warning, "cannot tell the working directory", ""}}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []Finding{{check, Warning, "the working directory cannot be read", ""}}
	}
	var out []Finding
	g := newGuess()
	for _, e := range entries {
		if dotenv.Names(e.Name()) || e.Name() == ".envrc" {
			out = append(out, g.look(filepath.Join(dir, e.Name()), e.Name())...)
		}
	}
	if len(out) == 0 {
		out = []Finding{{check, OK, "no env file of the working directory looks like holding a plaintext credential", ""}}
	}
	return out
}

// look reads one env file.
func (g guess) look(path, name string) []Finding {
	const check = "files"
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil
	}
	b, err := read(path, info, err)
	if err != nil {
		return []Finding{{check, Warning, name + " cannot be read", ""}}
	}
	defer clear(b)
	f, err := dotenv.Parse(name, b, nil)
	if err != nil {
		return g.unparsed(name, b)
	}
	var at []string
	for _, e := range f.Entries {
		if g.credential(e.Key, e.Value) {
			at = append(at, fmt.Sprintf("line %d (%s)", e.Line, g.called(e.Key)))
		}
	}
	return plaintext(name, at)
}

func read(path string, info fs.FileInfo, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if info.Size() > maxLoose {
		return nil, fs.ErrInvalid
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLoose))
}

// unparsed looks at a file that is no env file, such as a script, line by line.
func (g guess) unparsed(name string, b []byte) []Finding {
	var at []string
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		key, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if g.credential(key, strings.Trim(value, `"'`)) || g.shaped(line) {
			at = append(at, fmt.Sprintf("line %d", n))
		}
	}
	return plaintext(name, at)
}

func plaintext(name string, at []string) []Finding {
	if len(at) == 0 {
		return nil
	}
	return []Finding{{"files", Warning, name + " looks like holding plaintext credentials: " + strings.Join(at, ", "),
		"store each with `thumbturn set REF` and write the reference into the file"}}
}
