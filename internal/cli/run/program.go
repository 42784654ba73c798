package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/digest"
	"github.com/thumbturn/thumbturn/internal/fault"
)

const (
	// maxHashed is the size in bytes above which a file is known by its inode,
	// size and time only.
	maxHashed = 512 << 20
	// headSize is how much of a script Linux reads to find its interpreter.
	headSize = 256
)

// program is what is about to be executed.
type program struct {
	args       []string // as typed, the name first
	searchPath string   // the PATH that the program will have
	dir        string   // the working directory; may be empty

	file image
	// interpreter runs file if that is a script. Of a script whose interpreter
	// is a script too, the inner one is not looked at.
	interpreter *image
}

// image is one executable file as it was when it was first opened.
type image struct {
	name string // what path was found by
	path string // absolute, symbolic links kept: some programs look at their name
	info fs.FileInfo
	open *os.File // until it is hashed
	sum  string   // SHA-256 in hex; empty above maxHashed
}

// locate finds the program as a shell would, except that PATH entries that are
// not absolute are skipped.
func locate(args []string, searchPath, dir string) (*program, error) {
	p := &program{args: args, searchPath: searchPath, dir: dir}
	path, err := p.find(args[0])
	if err != nil {
		return nil, err
	}
	p.file = image{name: args[0], path: path}
	return p, nil
}

// find returns the absolute path of the executable that name means.
func (p *program) find(name string) (string, error) {
	if name == "" {
		return "", notFound("''", "the command has no name")
	}
	if hasSeparator(name) {
		path, err := p.absolute(name)
		if err != nil {
			return "", err
		}
		return path, mayExecute(path)
	}
	var unfit error
	for _, d := range filepath.SplitList(p.searchPath) {
		if !filepath.IsAbs(d) {
			continue
		}
		path, err := executable(filepath.Join(d, name))
		if err == nil {
			return path, nil
		}
		if e, ok := errors.AsType[*startError](err); ok && e.status == statusNotExecutable && unfit == nil {
			unfit = err
		}
	}
	if unfit != nil {
		return "", unfit
	}
	return "", notFound(name, "command not found")
}

func executable(path string) (string, error) {
	path = withExtension(path)
	return path, mayExecute(path)
}

// absolute does not clean the path: a/.. is not nothing where a is a link.
func (p *program) absolute(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	if !filepath.IsAbs(p.dir) {
		return "", notFound(name, "the working directory is not known")
	}
	return p.dir + string(filepath.Separator) + strings.TrimPrefix(name, "./"), nil
}

func mayExecute(path string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return notExecutable(path, "permission denied")
	case err != nil:
		return notFound(path, "no such file")
	case fi.IsDir():
		return notExecutable(path, "is a directory")
	case !fi.Mode().IsRegular():
		return notExecutable(path, "is not a regular file")
	case !accessible(path):
		return notExecutable(path, "permission denied")
	}
	return nil
}

// inspect opens the program, and the interpreter if it is a script. Files that
// cannot be read are refused, since nobody could say later what was executed.
func (p *program) inspect() error {
	head, err := p.file.inspect()
	if err != nil {
		return err
	}
	name, fromPath := interpreterOf(head)
	if name == "" {
		return nil
	}
	var path string
	if fromPath {
		path, err = p.find(name)
	} else if path, err = p.absolute(name); err == nil {
		err = mayExecute(path)
	}
	if err != nil {
		// Where the program itself is there, shells say 126.
		return notExecutable(p.file.path, "its interpreter "+name+" cannot be executed")
	}
	p.interpreter = &image{name: name, path: path}
	_, err = p.interpreter.inspect()
	return err
}

// inspect opens the file and returns its first bytes.
func (m *image) inspect() ([]byte, error) {
	f, err := os.Open(m.path)
	if err != nil {
		return nil, notExecutable(m.path, "cannot be read, so it cannot be recorded what was executed")
	}
	m.open = f
	if m.info, err = f.Stat(); err != nil || !m.info.Mode().IsRegular() {
		return nil, notExecutable(m.path, "is not a regular file")
	}
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, notExecutable(m.path, "cannot be read")
	}
	return head[:n], nil
}

// interpreterOf reads a #! line. For env it returns the program that env looks
// for, by PATH unless it has a slash.
func interpreterOf(head []byte) (name string, fromPath bool) {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", false
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return "", false
	}
	if filepath.Base(words[0]) != "env" {
		return words[0], false
	}
	for i := 1; i < len(words); i++ {
		w := strings.TrimPrefix(words[i], "--split-string=")
		if rest, ok := strings.CutPrefix(w, "-S"); ok && rest != "" {
			w = rest
		}
		switch {
		case w == "-u" || w == "-C":
			i++ // its argument
		case strings.HasPrefix(w, "-") || strings.Contains(w, "="):
		default:
			return w, true
		}
	}
	return words[0], false
}

// images returns the program and its interpreter.
func (p *program) images() []*image {
	if p.interpreter == nil {
		return []*image{&p.file}
	}
	return []*image{&p.file, p.interpreter}
}

// hash fills in the sums of what inspect opened.
func (p *program) hash(ctx context.Context) error {
	for _, m := range p.images() {
		sum, err := hashFile(ctx, m.open, m.info.Size())
		if err != nil {
			return fault.New(fault.Unavailable, "run", m.path, "cannot be read to its end")
		}
		m.sum = sum
	}
	return nil
}

func (p *program) close() {
	for _, m := range p.images() {
		if m.open != nil {
			m.open.Close()
		}
	}
}

// unchanged makes sure that what will be executed by path is still what the
// request described. Somebody who writes between this look and the start is not
// noticed; he is the same user, and could as well read the child's memory.
func (p *program) unchanged(ctx context.Context) error {
	for _, m := range p.images() {
		if err := m.unchanged(ctx); err != nil {
			return err
		}
	}
	if p.interpreter == nil || hasSeparator(p.interpreter.name) {
		return nil
	}
	if path, err := p.find(p.interpreter.name); err != nil || path != p.interpreter.path {
		return changed(p.interpreter.path)
	}
	return nil
}

func (m *image) unchanged(ctx context.Context) error {
	f, err := os.Open(m.path)
	if err != nil {
		return changed(m.path)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !os.SameFile(fi, m.info) || fi.Size() != m.info.Size() || fi.Mode() != m.info.Mode() {
		return changed(m.path)
	}
	if m.sum == "" && !fi.ModTime().Equal(m.info.ModTime()) {
		return changed(m.path)
	}
	sum, err := hashFile(ctx, f, fi.Size())
	if err != nil || sum != m.sum {
		return changed(m.path)
	}
	return nil
}

func changed(path string) error {
	return fault.New(fault.Conflict, "run", path, "the program changed after the values were asked for; nothing was started").
		WithHint("find out who changed it, then run the command again")
}

// hashFile returns the SHA-256 of a file from its start, in hex, or nothing for
// one over maxHashed. It reads to the end, wherever that is by now.
func hashFile(ctx context.Context, f *os.File, size int64) (string, error) {
	if size > maxHashed {
		return "", nil
	}
	return digest.Of(ctx, io.NewSectionReader(f, 0, math.MaxInt64))
}

// described is the program as the request names it.
func (p *program) described() api.Program {
	out := api.Program{Path: p.file.path, Hash: p.file.sum, File: inode(p.file), Argv: p.args, Dir: p.dir, Writable: writable(p.file)}
	if p.interpreter != nil {
		out.Interpreter, out.IntHash, out.IntFile = p.interpreter.path, p.interpreter.sum, inode(*p.interpreter)
		out.Writable = out.Writable || writable(*p.interpreter)
	}
	return out
}

func hasSeparator(name string) bool {
	return strings.ContainsRune(name, '/') || strings.ContainsRune(name, filepath.Separator)
}
