package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/loader"
	"github.com/thumbturn/thumbturn/internal/dotenv"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
)

// maxEnvFile bounds an env-file, in bytes.
const maxEnvFile = 4 << 20

// variable is one entry of the program's environment.
type variable struct {
	name  string
	value string // as it stands, references unresolved
	place string // "file:line:col", empty if inherited

	isTemplate bool // tmpl counts, and not value
	tmpl       ref.Template
}

func (v variable) at() (name, place string) { return v.name, v.place }

// environment is that of the program before its references are resolved.
type environment struct {
	vars []variable // each name once, sorted
	// refs are the distinct references of all variables. Their order depends
	// on names and values alone, so that a request that is asked again is the
	// same request.
	refs []ref.Ref
}

// environment merges what the project's file sets, the inherited environment
// and the env files; what comes later counts.
func (o Options) environment() (environment, error) {
	byName := map[string]variable{}
	for _, kv := range o.Environ {
		name, value := cutEntry(kv)
		if _, again := byName[nameKey(name)]; !again { // getenv finds the first
			byName[nameKey(name)] = variable{name: name, value: value}
		}
	}
	if err := loader.Refuse(o.project, variable.at, o.allowed); err != nil {
		return environment{}, err
	}
	for _, v := range o.project {
		if _, set := byName[nameKey(v.name)]; !set {
			byName[nameKey(v.name)] = v
		}
	}
	lookup := func(name string) (string, bool) {
		for _, kv := range o.Environ {
			if n, v := cutEntry(kv); sameName(n, name) {
				return v, true
			}
		}
		return "", false
	}
	for _, path := range o.EnvFiles {
		f, err := readEnvFile(path, lookup)
		if err != nil {
			return environment{}, err
		}
		vars := make([]variable, len(f.Entries))
		for i, e := range f.Entries {
			vars[i] = variable{name: e.Key, value: e.Value, place: fmt.Sprintf("%s:%d:%d", path, e.Line, e.Col)}
		}
		if err := loader.Refuse(vars, variable.at, o.allowed); err != nil {
			return environment{}, err
		}
		for _, w := range f.Warnings {
			o.Console.Say("warning: %s", canon.Escape(w.Error()))
		}
		for _, v := range vars {
			byName[nameKey(v.name)] = v
		}
	}
	env := environment{vars: make([]variable, 0, len(byName))}
	for _, v := range byName {
		env.vars = append(env.vars, v)
	}
	slices.SortFunc(env.vars, func(a, b variable) int { return strings.Compare(a.name, b.name) })
	return env, env.parse()
}

// parse finds the references. An inherited value without one stays as it is to
// the byte; in an env-file, {{ "text" }} is a template too.
func (env *environment) parse() error {
	for i := range env.vars {
		v := &env.vars[i]
		if !hasScheme(v.value) && (v.place == "" || !strings.Contains(v.value, "{{")) {
			continue
		}
		t, err := ref.ParseValue(v.value)
		if err != nil {
			return badValue(*v, err)
		}
		refs := t.Refs()
		if len(refs) == 0 && v.place == "" {
			continue
		}
		v.tmpl, v.isTemplate = t, true
		for _, r := range refs {
			if env.index(r) < 0 {
				env.refs = append(env.refs, r)
			}
		}
	}
	return nil
}

// badValue names the variable. The text of the bad reference is not repeated:
// it may be a password in a URL that merely looks like a reference.
func badValue(v variable, err error) error {
	where := v.name
	if v.place != "" {
		where = v.place + ": " + v.name
	}
	e, ok := errors.AsType[*ref.Error](err)
	if !ok {
		return fault.New(fault.Usage, "run", where, "has a bad secret reference")
	}
	return fault.New(fault.Usage, "run", where, "invalid secret reference: "+e.Msg).WithHint(e.Hint)
}

func (env environment) index(r ref.Ref) int {
	return slices.IndexFunc(env.refs, r.Equal)
}

// get returns the value of a variable as it stands.
func (env environment) get(name string) string {
	for _, v := range env.vars {
		if sameName(v.name, name) {
			return v.value
		}
	}
	return ""
}

// spelled returns the references as they go into the request.
func (env environment) spelled() []string {
	out := make([]string, len(env.refs))
	for i, r := range env.refs {
		out[i] = r.String()
	}
	return out
}

// withRefs returns the names of the variables that values go into.
func (env environment) withRefs() []string {
	var out []string
	for _, v := range env.vars {
		if v.isTemplate && len(v.tmpl.Refs()) > 0 {
			out = append(out, v.name)
		}
	}
	return out
}

// plain returns an environment that has no references.
func (env environment) plain() []string {
	out, _ := env.resolved(nil) // only a value can fail
	return out
}

// resolved returns the environment with values, one for each of refs, put in.
// Environment entries are strings, which cannot be wiped; the buffers that they
// are made of are.
func (env environment) resolved(values [][]byte) ([]string, error) {
	for i, b := range values {
		if bytes.IndexByte(b, 0) >= 0 {
			return nil, fault.New(fault.Usage, "run", env.refs[i].String(),
				"the value has a NUL byte, which an environment variable cannot hold")
		}
	}
	lookup := func(r ref.Ref) ([]byte, bool) {
		i := env.index(r)
		if i < 0 || i >= len(values) {
			return nil, false
		}
		return values[i], true
	}
	out := make([]string, 0, len(env.vars))
	for _, v := range env.vars {
		if !v.isTemplate {
			out = append(out, v.name+"="+v.value)
			continue
		}
		b, err := v.tmpl.AppendTo(nil, lookup)
		if err != nil {
			return nil, fault.New(fault.Internal, "run", v.name, "a reference has no value")
		}
		out = append(out, v.name+"="+string(b))
		clear(b)
	}
	return out, nil
}

func readEnvFile(path string, lookup func(string) (string, bool)) (dotenv.File, error) {
	fail := func(msg string) (dotenv.File, error) {
		return dotenv.File{}, fault.New(fault.Usage, "run", path, msg)
	}
	f, err := os.Open(path)
	if err != nil {
		return fail("the env file does not exist or cannot be read")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	if err != nil {
		return fail("the env file cannot be read")
	}
	if len(data) > maxEnvFile {
		return fail("the env file is too large")
	}
	parsed, err := dotenv.Parse(path, data, lookup)
	if err != nil {
		return dotenv.File{}, console.Usage("%s", err)
	}
	return parsed, nil
}

// hasScheme reports whether s contains op:// in any case.
func hasScheme(s string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			return false
		}
		i += from
		if i >= 2 && strings.EqualFold(s[i-2:i], "op") {
			return true
		}
		from = i + 3
	}
}

// cutEntry splits an entry of an environment. Windows has names that begin with
// an equals sign.
func cutEntry(kv string) (name, value string) {
	if kv == "" {
		return "", ""
	}
	if i := strings.IndexByte(kv[1:], '='); i >= 0 {
		return kv[:i+1], kv[i+2:]
	}
	return kv, ""
}

func nameKey(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

func sameName(a, b string) bool { return nameKey(a) == nameKey(b) }
