//go:build unix

package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		out = append(out, e.Name())
	}
	return out
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	for i, mode := range []fs.FileMode{0o600, 0o644, 0o400, 0o600} {
		want := bytes.Repeat([]byte{byte(i)}, 1+i*70000)
		if err := Write(path, want, mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d: read %d bytes, %v", i, len(got), err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != mode {
			t.Fatalf("mode %v, want %v (%v)", info.Mode(), mode, err)
		}
	}
	if diff := cmp.Diff([]string{"keys"}, names(t, filepath.Dir(path))); diff != "" {
		t.Error(diff)
	}
}

func TestWriteRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := Write("here", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"here"}, names(t, ".")); diff != "" {
		t.Error(diff)
	}
}

func TestWriteRefusesOtherThanRegular(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, os.Symlink(target, filepath.Join(dir, "link")))
	must(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")))
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	before := names(t, dir)
	for name, want := range map[string]string{
		"link": "is a symbolic link", "dangling": "is a symbolic link", "dir": "is a directory", "fifo": "is a special file",
	} {
		if err := Write(filepath.Join(dir, name), []byte("new"), 0o600); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Write(filepath.Join(dir, "no", "such"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if diff := cmp.Diff(before, names(t, dir)); diff != "" {
		t.Error(diff)
	}
	if got, _ := os.ReadFile(target); string(got) != "untouched" {
		t.Errorf("the link was followed: %q", got)
	}
}

// TestWriteFails makes each late step fail: the temporary file is gone, and the
// old content stands unless the name was already changed.
func TestWriteFails(t *testing.T) {
	boom := errors.New("boom")
	whole := steps{sync: (*os.File).Sync, rename: os.Rename, syncDir: SyncDir}
	for name, c := range map[string]struct {
		breakIt func(*steps)
		want    string
	}{
		"sync":     {func(s *steps) { s.sync = func(*os.File) error { return boom } }, "old"},
		"close":    {func(s *steps) { s.sync = func(f *os.File) error { f.Close(); return boom } }, "old"},
		"rename":   {func(s *steps) { s.rename = func(string, string) error { return boom } }, "old"},
		"sync dir": {func(s *steps) { s.syncDir = func(string) error { return boom } }, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			must(t, Write(path, []byte("old"), 0o600))
			do := whole
			c.breakIt(&do)
			if err := write(path, []byte("new"), 0o600, do); !errors.Is(err, boom) {
				t.Fatalf("error %v", err)
			}
			got, _ := os.ReadFile(path)
			if string(got) != c.want {
				t.Errorf("content %q, want %q", got, c.want)
			}
			if diff := cmp.Diff([]string{"keys"}, names(t, filepath.Dir(path))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTempIsBeside looks at the temporary file before it gets its name.
func TestTempIsBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	seen := false
	do := steps{sync: (*os.File).Sync, syncDir: SyncDir, rename: func(from, to string) error {
		seen = true
		base := filepath.Base(from)
		if filepath.Dir(from) != filepath.Dir(path) || !strings.HasPrefix(base, ".keys.") || !strings.HasSuffix(base, ".tmp") {
			t.Errorf("temporary file at %s", from)
		}
		if info, err := os.Lstat(from); err != nil || info.Mode() != 0o600 {
			t.Errorf("temporary file is %v, %v", info, err)
		}
		return os.Rename(from, to)
	}}
	must(t, write(path, []byte("x"), 0o600, do))
	if !seen {
		t.Error("no rename")
	}
}

func TestReadPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a key")
	must(t, Write(path, []byte("12345"), 0o600))
	for mode, ok := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true,
		0o640: false, 0o660: false, 0o604: false, 0o602: false, 0o601: false, 0o620: false, 0o666: false, 0o610: false,
	} {
		must(t, os.Chmod(path, mode))
		got, err := ReadPrivate(path, 5)
		if ok {
			if err != nil || string(got) != "12345" {
				t.Errorf("%v: %q, %v", mode, got, err)
			}
			continue
		}
		want := fmt.Sprintf("read %s: is open to others (mode %04o); run: chmod %o '%s'", path, mode, mode&0o700, path)
		if err == nil || err.Error() != want || got != nil {
			t.Errorf("%v: %q, %v, want %s", mode, got, err, want)
		}
	}
	must(t, os.Chmod(path, 0o600))
	if got, err := ReadPrivate(path, 4); err == nil || got != nil || !strings.Contains(err.Error(), "larger than 4 bytes") {
		t.Errorf("too large: %q, %v", got, err)
	}
	must(t, os.Symlink(path, filepath.Join(dir, "link")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for name, want := range map[string]string{"link": "symbolic link", "fifo": "special file", ".": "directory", "none": "no such file"} {
		if _, err := ReadPrivate(filepath.Join(dir, name), 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadPrivate(filepath.Join(dir, "none"), 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not fs.ErrNotExist: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "env")
	must(t, Write(path, []byte("12345"), 0o644))
	got, info, err := Read(path, 5)
	if err != nil || string(got) != "12345" || info.Mode().Perm() != 0o644 {
		t.Errorf("%q, %v, %v", got, info, err)
	}
	if got, _, err := Read(path, 4); err == nil || got != nil || !strings.Contains(err.Error(), "larger than 4 bytes") {
		t.Errorf("too large: %q, %v", got, err)
	}
	must(t, os.Symlink(path, filepath.Join(dir, "link")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for name, want := range map[string]string{"link": "symbolic link", "fifo": "special file", ".": "directory", "none": "no such file"} {
		if _, _, err := Read(filepath.Join(dir, name), 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadPrivateOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "k")
	must(t, Write(path, []byte("x"), 0o600))
	must(t, os.Chown(path, 65534, 65534))
	if _, err := ReadPrivate(path, 10); err == nil || !strings.Contains(err.Error(), "belongs to user 65534, not to user 0") {
		t.Errorf("error %v", err)
	}
}

// TestReadOnlyDirectory needs a user whom permissions bind.
func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	must(t, Write(path, []byte("old"), 0o600))
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	if err := Write(path, []byte("new"), 0o600); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content %q", got)
	}
	if diff := cmp.Diff([]string{"k"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// asNobody runs the calling test again as uid 65534.
func asNobody(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip("no /proc to copy the test binary from")
	}
	dir, err := os.MkdirTemp("", "asnobody") // t.TempDir lets nobody else in
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o755))
	bin := filepath.Join(dir, "test")
	must(t, os.WriteFile(bin, self, 0o755))
	cmd := exec.Command(bin, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = "/", []string{"TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/a/b.c": "/a/b.c", "/a b": "'/a b'", "": "''", "-x": "'-x'", "/it's": `'/it'\''s'`, "/a;rm": "'/a;rm'", "/\n": "'/\n'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPending(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	p, err := Begin(path, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	for _, part := range []string{"one ", "two"} {
		if _, err := p.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there before it is whole: %v", err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	p.Discard() // nothing is left to discard
	b, err := os.ReadFile(path)
	if fi, _ := os.Stat(path); err != nil || string(b) != "one two" || fi.Mode().Perm() != 0o640 {
		t.Errorf("%q, %v", b, err)
	}
	q, err := Begin(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = q.Write([]byte("three"))
	q.Discard()
	q.Discard()
	if b, _ := os.ReadFile(path); string(b) != "one two" {
		t.Errorf("a discarded file replaced the old one: %q", b)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	if _, err := Begin(dir, 0o600); err == nil {
		t.Error("a folder was begun")
	}
}
