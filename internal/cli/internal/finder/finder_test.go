//go:build unix

package finder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/project"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree is a directory with a/b/c in it, itself without symbolic links.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o755))
	return dir
}

func put(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, project.FileName)
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func home(dir string) func(string) string {
	return func(k string) string { return map[string]string{"HOME": dir}[k] }
}

func TestFind(t *testing.T) {
	root := tree(t)
	deep := filepath.Join(root, "a", "b", "c")
	find := func(dir, homeDir string) string {
		t.Helper()
		found, err := Find(dir, home(homeDir))
		if err != nil {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", dir, err)
			}
			return ""
		}
		if filepath.Join(found.Dir, project.FileName) != found.Path || found.Name != found.Path {
			t.Errorf("%+v", found)
		}
		return found.Dir
	}
	if got := find(deep, root); got != "" {
		t.Errorf("found %s", got)
	}
	put(t, root, "")
	a := filepath.Join(root, "a")
	if got := find(deep, root); got != root {
		t.Errorf("the home directory itself: %q", got)
	}
	if got := find(deep, a); got != "" {
		t.Errorf("above the home directory: %q", got)
	}
	put(t, a, "")
	if got := find(deep, root); got != a {
		t.Errorf("the nearest: %q", got)
	}
	put(t, deep, "")
	if got := find(deep, root); got != deep {
		t.Errorf("right here: %q", got)
	}
	must(t, os.Symlink(filepath.Join(a, "b"), filepath.Join(root, "link")))
	if got := find(filepath.Join(root, "link"), root); got != a {
		t.Errorf("upward from where a link leads: %q", got)
	}
	if _, err := Find("relative", home(root)); err == nil {
		t.Error("a relative directory passed")
	}
}

func TestMistakesHaveTheirType(t *testing.T) {
	root := tree(t)
	path := put(t, root, "x = 1\n")
	found, err := Find(root, home(root))
	errs, ok := errors.AsType[project.Errors](err)
	if !ok || errs[0].File != path || found.Path != path {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(dir, path string) error
		want string
	}{
		"world-writable file":      {func(_, p string) error { return os.Chmod(p, 0o646) }, "everybody can write to it"},
		"world-writable directory": {func(d, _ string) error { return os.Chmod(d, 0o777) }, "everybody can write to its directory"},
		"link": {func(d, p string) error { return errors.Join(os.Rename(p, d+"/real"), os.Symlink(d+"/real", p)) },
			"is a symbolic link"},
		"directory": {func(_, p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "not a regular file"},
		"FIFO":      {func(_, p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "not a regular file"},
		"too large": {func(_, p string) error {
			return os.WriteFile(p, []byte(strings.Repeat("#", project.MaxSize+1)), 0o600)
		}, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t)
			path := put(t, root, "")
			must(t, tt.make(root, path))
			if _, err := Find(root, home(root)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStickyDirectory(t *testing.T) {
	root := tree(t)
	put(t, root, "")
	must(t, os.Chmod(root, 0o777|os.ModeSticky))
	if _, err := Find(root, home(root)); err != nil {
		t.Error(err)
	}
}

func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	root := tree(t)
	deep := filepath.Join(root, "a", "b", "c")
	path := put(t, root, "")
	must(t, os.Chown(filepath.Join(root, "a", "b"), 65534, 65534))
	if _, err := Find(deep, home(root)); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "a/b, which belongs to somebody else") {
		t.Errorf("passed through somebody else's directory: %v", err)
	}
	must(t, os.Chown(path, 65534, 65534))
	if _, err := Find(root, home(root)); err == nil || !strings.Contains(err.Error(), "belongs to somebody else") {
		t.Errorf("somebody else's file: %v", err)
	}
}
