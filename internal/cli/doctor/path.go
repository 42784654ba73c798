package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
)

// beside checks that the daemon lies where it will be looked for.
func (o Options) beside() Finding {
	const check = "programs"
	self, err := o.self()
	if err != nil {
		return Finding{check, Problem, "cannot tell where this program lies", ""}
	}
	daemon := filepath.Join(filepath.Dir(self), "thumbturnd"+o.suffix())
	if info, err := os.Stat(daemon); err != nil || !info.Mode().IsRegular() {
		return Finding{check, Problem, "there is no thumbturnd beside " + self, "install both programs into one folder"}
	}
	if info, err := os.Stat(filepath.Dir(self)); err == nil && o.OS != "windows" && info.Mode().Perm()&0o002 != 0 {
		return Finding{check, Problem, "everybody can write " + filepath.Dir(self), "chmod o-w " + atomicfile.Quote(filepath.Dir(self))}
	}
	return Finding{check, OK, "thumbturn and thumbturnd lie in " + filepath.Dir(self), ""}
}

func (o Options) self() (string, error) {
	self, err := o.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(self)
}

func (o Options) suffix() string {
	if o.OS == "windows" {
		return ".exe"
	}
	return ""
}

// path looks for folders of PATH in which others can put programs, and for
// programs that are found before this one.
func (o Options) path() []Finding {
	const check = "PATH"
	var out []Finding
	dirs := filepath.SplitList(o.Console.Getenv("PATH"))
	for i, dir := range dirs {
		if !filepath.IsAbs(dir) {
			out = append(out, Finding{check, Warning, fmt.Sprintf("entry %d is not absolute: what it means depends on the working directory", i+1), "remove it from PATH"})
			continue
		}
		if info, err := os.Stat(dir); err == nil && o.OS != "windows" && info.Mode().Perm()&0o002 != 0 {
			out = append(out, Finding{check, Problem, "everybody can put programs into " + dir, "chmod o-w " + atomicfile.Quote(dir) + ", or remove it from PATH"})
		}
	}
	out = append(out, o.shadows(dirs)...)
	if len(out) == 0 {
		out = []Finding{{check, OK, "no program is found before this one", ""}}
	}
	return out
}

// shadows finds a thumbturn that is not this one and comes first, and an op
// that does: scripts with op:// references may call it instead.
func (o Options) shadows(dirs []string) []Finding {
	self, err := o.self()
	if err != nil {
		return nil // said elsewhere
	}
	own, err := os.Stat(self)
	if err != nil {
		return nil
	}
	op := ""
	for _, dir := range dirs {
		if other := filepath.Join(dir, "op"+o.suffix()); op == "" && executable(other) {
			op = other
		}
		path := filepath.Join(dir, "thumbturn"+o.suffix())
		if !executable(path) {
			continue
		}
		if info, err := os.Stat(path); err != nil || !os.SameFile(own, info) {
			return []Finding{{"PATH", Problem, "another thumbturn is found first: " + path, "remove it, or put " + filepath.Dir(self) + " before it in PATH"}}
		}
		if op != "" {
			return []Finding{{"PATH", Warning, "an op is found before this program: " + op, "scripts that call op do not reach Thumbturn; nothing to do if you meant it"}}
		}
		return nil
	}
	return []Finding{{"PATH", Warning, "this program is not found in PATH", "add " + filepath.Dir(self) + " to PATH"}}
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (info.Mode().Perm()&0o111 != 0 || strings.HasSuffix(path, ".exe"))
}
