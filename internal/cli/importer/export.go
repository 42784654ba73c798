package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/foreign"
)

const (
	maxEntry = 1 << 20 // bytes of one entry of a password-store
	look     = 4 << 10 // bytes that the format is told by
)

// read reads a whole export, in the format asked for or detected.
func (o Options) read(ctx context.Context, path string) (foreign.Export, error) {
	format := foreign.Format(o.From)
	info, err := os.Stat(path)
	if err != nil {
		return foreign.Export{}, fault.New(fault.Usage, "import", path, "no such file, or not readable")
	}
	if info.IsDir() && (format == "" || format == foreign.Pass) {
		return o.readStore(ctx, path)
	}
	if format == foreign.Pass {
		return foreign.Export{}, fault.New(fault.Usage, "import", path, "a password-store is a directory")
	}
	f, info, err := atomicfile.Open(path)
	if err != nil {
		return foreign.Export{}, fault.Wrap(fault.Usage, "import", "", err)
	}
	defer f.Close()
	if format == "" {
		head := make([]byte, look)
		defer clear(head)
		n, err := io.ReadFull(f, head)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return foreign.Export{}, fault.New(fault.Unavailable, "import", path, "cannot be read")
		}
		known := false
		if format, known = foreign.Detect(path, head[:n]); !known {
			return foreign.Export{}, fault.New(fault.Usage, "import", path, "the format is not recognised").
				WithHint("say what it is with --from env, " + strings.Join(names(), ", "))
		}
	}
	if format == foreign.OnePUX {
		return foreign.ReadOnePUX(f, info.Size())
	}
	data, _, err := readFile(path, foreign.MaxData)
	if err != nil {
		return foreign.Export{}, err
	}
	e, err := foreign.Read(format, data)
	if err != nil {
		clear(data)
	}
	return e, err
}

// readStore decrypts a password-store with the user's own gpg, entry by entry,
// into memory alone. An entry that gpg does not open is skipped.
func (o Options) readStore(ctx context.Context, root string) (foreign.Export, error) {
	root, err := filepath.EvalSymlinks(root) // a store is often linked to; nothing inside is followed
	if err != nil {
		return foreign.Export{}, fault.New(fault.Usage, "import", root, "cannot be read")
	}
	entries, err := storeEntries(root)
	if err != nil {
		return foreign.Export{}, err
	}
	store, total := foreign.NewStore(), 0
	p := o.Console.Progress("decrypting", int64(len(entries)))
	defer p.Done()
	for _, name := range entries {
		text, err := o.decrypt(ctx, filepath.Join(root, filepath.FromSlash(name)+".gpg"))
		if ctx.Err() != nil {
			store.Wipe()
			return foreign.Export{}, ctx.Err()
		}
		total += len(text)
		switch {
		case total > foreign.MaxData:
			clear(text)
			err = fault.New(fault.Usage, "import", root, fmt.Sprintf("holds more than %d bytes", foreign.MaxData))
		case err != nil && fault.Is(err, fault.Unavailable):
			// Without gpg every entry would fail.
		case err != nil:
			err = store.Skip(name, err.Error())
		default:
			err = store.Add(name, text)
		}
		if err != nil {
			store.Wipe()
			return foreign.Export{}, err
		}
		p.Step(1)
	}
	return store.Done(), nil
}

// storeEntries lists the entries of a store, without ".gpg". Hidden files and
// folders (.git, .gpg-id) are none, and links are not followed.
func storeEntries(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != root && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		name, isEntry := strings.CutSuffix(path, ".gpg")
		if !d.Type().IsRegular() || !isEntry {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if out = append(out, filepath.ToSlash(rel)); len(out) > foreign.MaxItems {
			return fault.New(fault.Usage, "import", root, fmt.Sprintf("holds more than %d entries", foreign.MaxItems))
		}
		return nil
	})
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); ok {
			return nil, e
		}
		return nil, fault.New(fault.Usage, "import", root, "cannot be read")
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Usage, "import", root, "is no password-store: it holds no .gpg file")
	}
	return out, nil
}

// errTooLarge and errGPG become the reason why an entry was skipped.
var (
	errTooLarge = fmt.Errorf("is larger than %d bytes", maxEntry)
	errGPG      = errors.New("could not be decrypted by gpg")
)

// decrypt reads what gpg prints straight from its pipe.
func (o Options) decrypt(ctx context.Context, path string) ([]byte, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, o.GPG, "--quiet", "--decrypt", "--", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "import", "", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fault.New(fault.Unavailable, "import", "gpg", "cannot be started").WithHint("install GnuPG, with which the store was made")
	}
	buf := make([]byte, maxEntry+1)
	n, err := io.ReadFull(out, buf)
	text := append(make([]byte, 0, n), buf[:n]...)
	clear(buf)
	whole := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if !whole {
		stop()
	}
	switch wrong := cmd.Wait(); {
	case err == nil:
		clear(text)
		return nil, errTooLarge
	case !whole || wrong != nil:
		clear(text)
		return nil, errGPG
	}
	return text, nil
}

// importExport takes an export's items into a vault.
func importExport(ctx context.Context, o Options, path string) error {
	e, err := o.read(ctx, path)
	if err != nil {
		return err
	}
	defer e.Wipe()
	if len(e.Items) == 0 && len(e.Skipped) == 0 {
		return fault.New(fault.Usage, "import", path, "there is no item in it")
	}
	if err := o.write(ctx, e); err != nil {
		return err
	}
	if !o.DryRun && e.Format != foreign.Pass {
		o.Console.Say("hint: the export holds every value in clear: check the items, then delete it")
	}
	return nil
}
