// Package importer is the import command: it brings secrets that lie about in
// env files and in other password managers into a vault. Everything is read and
// checked before anything is written, and no value is printed.
package importer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/dotenv"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/foreign"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// Options is what import takes.
type Options struct {
	Console  *console.Console
	Ask      api.Ask
	Dir      func() (string, error) // the working directory
	GPG      string                 // the program that opens a password-store
	From     string
	Vault    string
	Item     string
	Conflict string // skip or rename
	All      bool
	DryRun   bool
	Undo     bool
	Force    bool
}

// fromEnv is the format of env files; the others are package foreign's.
const fromEnv = "env"

// New returns the import command.
func New(o Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Bring secrets in from an env file or another password manager",
		Long: `Bring secrets in.

From an env file, what looks like a secret becomes a field of one new item, and
its place in the file is taken by a reference; the rest of the file stays byte
for byte. The original file is kept in the item, and --undo puts it back.

From an export of 1Password (JSON or 1PUX), Bitwarden, KeePass or a browser, or
from a password-store directory, each item becomes an item. What was exported
is not deleted.`,
		Example: "  thumbturn import .env --dry-run\n  thumbturn import .env\n  thumbturn import --undo .env\n" +
			"  thumbturn import --vault dev --from 1pux export.1pux",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return Import(cmd.Context(), o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "the `FORMAT`: env, "+strings.Join(names(), ", ")+"; else it is detected")
	f.StringVar(&o.Vault, "vault", "", "the `VAULT` to write to; else the only standard one")
	f.StringVar(&o.Item, "item", "", "title of the item for an env file; else the `NAME` of its folder")
	f.StringVar(&o.Conflict, "on-conflict", "skip", "what `MODE` to take with a title that exists: skip or rename")
	f.BoolVar(&o.All, "all", false, "take values of an env file that do not look like secrets, too")
	f.BoolVar(&o.DryRun, "dry-run", false, "show names and references, and change nothing")
	f.BoolVar(&o.Undo, "undo", false, "put the original of an imported env file back; a reveal, so only a person can")
	f.BoolVarP(&o.Force, "force", "f", false, "with --undo, overwrite changes made since the import")
	f.AddGoFlagSet(console.AskFlags(&o.Ask))
	return cmd
}

func names() []string {
	var out []string
	for _, f := range foreign.Formats() {
		out = append(out, string(f))
	}
	return out
}

// Import does what the options ask for with one file or directory.
func Import(ctx context.Context, o Options, path string) error {
	if o.Conflict != "skip" && o.Conflict != "rename" {
		return console.Usage("--on-conflict is skip or rename")
	}
	known := o.From == "" || o.From == fromEnv
	for _, n := range names() {
		known = known || n == o.From
	}
	if !known {
		return console.Usage("unknown format %q; use env, %s", o.From, strings.Join(names(), ", "))
	}
	dir, err := o.Dir()
	if err != nil {
		return fault.Wrap(fault.Unavailable, "import", "", err)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	switch {
	case o.Undo:
		return undo(ctx, o, path)
	case o.From == fromEnv || o.From == "" && dotenv.Names(filepath.Base(path)):
		return importEnv(ctx, o, path)
	case o.Item != "" || o.All:
		return console.Usage("--item and --all are for env files; with --from env any file is taken for one")
	}
	return importExport(ctx, o, path)
}

// vault finds the vault to write to.
func (o Options) vault(ctx context.Context, s *sdk.Client) (api.Vault, error) {
	all, err := s.Vaults(ctx)
	if err != nil {
		return api.Vault{}, err
	}
	var hits []api.Vault
	var names []string
	for _, v := range all {
		names = append(names, v.Name)
		if o.Vault == "" && (v.Tier == "standard" || len(all) == 1) ||
			o.Vault != "" && (v.ID == o.Vault || ref.Fold(v.Name) == ref.Fold(o.Vault)) {
			hits = append(hits, v)
		}
	}
	switch {
	case len(hits) == 1:
		return hits[0], nil
	case o.Vault == "":
		return api.Vault{}, console.Usage("name a vault with --vault").WithHint("`thumbturn vault list` shows what there is")
	case len(hits) == 0:
		return api.Vault{}, fault.New(fault.NotFound, "import", o.Vault, "there is no such vault").
			WithHint(console.Near(o.Vault, names, "`thumbturn vault list` shows what there is"))
	}
	return api.Vault{}, fault.New(fault.Ambiguous, "import", o.Vault, "more than one vault matches").WithHint("use the id")
}

// titles returns the folded titles of a vault's items.
func titles(ctx context.Context, s *sdk.Client, v api.Vault) (map[string]bool, error) {
	out := map[string]bool{}
	err := s.Items(ctx, api.ItemList{Vault: v.ID}, func(it api.Item) error {
		out[ref.Fold(it.Title)] = true
		return nil
	})
	return out, err
}

// free returns the title, or with a number behind it the first that is not
// taken.
func free(title string, taken map[string]bool) string {
	next := title
	for n := 2; taken[ref.Fold(next)]; n++ {
		next = title + " " + itoa(n)
	}
	return next
}

// file is a file as it was read, to see later that it is still the same.
type file struct {
	path string
	info os.FileInfo
}

// readFile reads a regular file of at most limit bytes; the caller wipes it.
func readFile(path string, limit int64) ([]byte, file, error) {
	data, info, err := atomicfile.Read(path, limit)
	if err != nil {
		return nil, file{}, fault.Wrap(fault.Usage, "import", "", err)
	}
	return data, file{path, info}, nil
}

// replace writes the new content of a file that still is what it was.
func (f file) replace(was, now []byte) error {
	if err := f.same(was); err != nil {
		return err
	}
	if err := atomicfile.Write(f.path, now, f.info.Mode()); err != nil {
		return fault.Wrap(fault.Unavailable, "import", "", err)
	}
	return nil
}

// same reports a file that is no longer what it was.
func (f file) same(was []byte) error {
	data, info, err := atomicfile.Read(f.path, int64(len(was)))
	defer clear(data)
	if err != nil || !os.SameFile(info, f.info) || !bytes.Equal(data, was) {
		return fault.New(fault.Conflict, "import", f.path, "the file changed meanwhile; it was left as it is")
	}
	return nil
}
