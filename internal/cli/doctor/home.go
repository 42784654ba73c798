package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
)

// home checks that the four folders, and what lies directly in them, are ours
// alone, and that nobody else can put another folder in their place.
func (o Options) home(h api.Home) []Finding {
	var out []Finding
	if h.Custom {
		out = append(out, Finding{"home", Warning, "THUMBTURN_HOME is set: whoever set it chose where passphrases go", "unset it, unless you set it yourself"})
	}
	if o.OS == "windows" {
		return append(out, Finding{"permissions", Warning, "not checked on this system", ""})
	}
	var bad []Finding
	if info, err := os.Lstat(h.Folder()); err == nil {
		bad = private(h.Folder(), info)
	}
	missing := 0
	for _, dir := range []string{h.Data, h.Config, h.Run, h.Device} {
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			bad = append(bad, Finding{"permissions", Problem, dir + " cannot be examined", ""})
			continue
		}
		bad = append(bad, private(dir, info)...)
		bad = append(bad, inside(dir, h)...)
		bad = append(bad, above(dir, h.Folder())...)
	}
	switch {
	case missing == 4 && len(bad) == 0:
		return append(out, Finding{"permissions", OK, "there is no home yet", "thumbturn init"})
	case len(bad) == 0:
		bad = []Finding{{"permissions", OK, "the folders of the home are yours alone", ""}}
	}
	return append(out, unique(bad)...)
}

// inside looks at the files of a folder. A draft of the policy may be readable:
// it is no secret, and its folder is closed.
func inside(dir string, h api.Home) []Finding {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []Finding{{"permissions", Problem, dir + " cannot be read", ""}}
	}
	var out []Finding
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // of a link, what it leads to
		if errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0 {
			continue // it was there a moment ago
		}
		if err != nil {
			out = append(out, Finding{"permissions", Problem, path + " cannot be examined", ""})
		} else if dir != h.Config {
			out = append(out, private(path, info)...)
		}
	}
	return out
}

// private says where others may reach something.
func private(path string, info fs.FileInfo) []Finding {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Stat(path)
		if err != nil {
			return []Finding{{"permissions", Problem, path + " is a link that leads nowhere", "remove it"}}
		}
		info = target
	}
	var out []Finding
	if uid, ok := owner(info); ok && uid != os.Geteuid() {
		out = append(out, Finding{"permissions", Problem, fmt.Sprintf("%s belongs to user %d", path, uid), "find out who put it there"})
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		out = append(out, Finding{"permissions", Problem, fmt.Sprintf("%s is open to others (mode %04o)", path, perm),
			fmt.Sprintf("chmod %o %s", perm&0o700, atomicfile.Quote(path))})
	}
	return out
}

// above looks at the folders over a home: who can write one of them can put
// another home there, unless it is sticky and what lies in it is not theirs. own
// was looked at already.
func above(dir, own string) []Finding {
	var out []Finding
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if up == own {
			continue
		}
		info, err := os.Stat(up)
		if err != nil {
			return append(out, Finding{"permissions", Problem, up + " cannot be examined", ""})
		}
		if uid, ok := owner(info); ok && uid != os.Geteuid() && uid != 0 {
			out = append(out, Finding{"permissions", Problem, fmt.Sprintf("%s, above the home, belongs to user %d", up, uid), "move the home elsewhere"})
		}
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			state := Warning // a group is often the user's own
			if info.Mode().Perm()&0o002 != 0 {
				state = Problem
			}
			out = append(out, Finding{"permissions", state, fmt.Sprintf("%s, above the home, can be written by others (mode %04o)", up, info.Mode().Perm()),
				"chmod go-w " + atomicfile.Quote(up)})
		}
		if up == filepath.Dir(up) {
			return out
		}
	}
}

// unique drops what was found twice: the folders share what lies above them.
func unique(found []Finding) []Finding {
	seen := map[Finding]bool{}
	var out []Finding
	for _, f := range found {
		if !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	return out
}

// clock compares the wall clock with what cannot lie in the future. Approvals
// and leases end by it, and the ledger says when.
func (o Options) clock(h api.Home) Finding {
	now := o.Now()
	if built := o.Built(); !built.IsZero() && now.Before(built) {
		return Finding{"clock", Problem, "it shows " + stamp(now) + ", before this program was built (" + stamp(built) + ")", "set the clock"}
	}
	newest, which := time.Time{}, ""
	for _, dir := range []string{h.Data, h.Config, h.Run, h.Device} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.ModTime().After(newest) {
				newest, which = info.ModTime(), filepath.Join(dir, e.Name())
			}
		}
	}
	// File systems round, some to two seconds.
	if newest.After(now.Add(2 * time.Second)) {
		return Finding{"clock", Problem, "it shows " + stamp(now) + ", before " + which + " was written (" + stamp(newest) + ")", "set the clock"}
	}
	return Finding{"clock", OK, "not behind what was built and written", ""}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
