// Package export is the export command: all items with their values in one
// file, encrypted by age or plain.
package export

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/cli/internal/shape"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// batchSize is how many values are asked for at once: all of them lie open in
// the daemon's secret memory together.
const batchSize = 100

// minPhrase is the least length of the passphrase of an export, in characters:
// nothing but it stands between the file and whoever finds it.
const minPhrase = 12

// Options is what export takes.
type Options struct {
	Console    *console.Console
	To         string
	Vault      string
	Recipients []string
	Plain      bool
	Force      bool
	Dir        func() (string, error) // the working directory
}

// New returns the export command.
func New(c *console.Console, dir func() (string, error)) *cobra.Command {
	o := Options{Console: c, Dir: dir}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all items with their values to an encrypted file",
		Long: `Write all items with their values to a file, as JSON like that of
"thumbturn item get --reveal", encrypted by age (https://age-encryption.org): to
recipients, or under a passphrase typed here. It reveals every value, so it needs
approval as "thumbturn read" does, for each vault, and agents are refused. Attached
files of more than 16 MiB are left out, and named: "thumbturn read" writes them.

For a copy against loss take "thumbturn backup": it reveals nothing.`,
		Example: "  thumbturn export --to secrets.json.age\n  thumbturn export --to dev.json.age --vault dev --recipient age1...",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return Export(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.To, "to", "", "the `FILE` to write")
	f.StringVar(&o.Vault, "vault", "", "only items of this `VAULT`")
	f.StringArrayVar(&o.Recipients, "recipient", nil, "encrypt to this age `KEY`, such as age1...; may be repeated")
	f.BoolVar(&o.Plain, "plain", false, "do not encrypt: the file holds every value for all to read who can read it")
	f.BoolVarP(&o.Force, "force", "f", false, "replace an existing file without asking")
	return cmd
}

// Export writes the values of all items, or of a vault's. The file appears once
// it is whole.
func Export(ctx context.Context, o Options) error {
	if o.To == "" {
		return console.Usage("name the file with --to")
	}
	if o.Plain && len(o.Recipients) > 0 {
		return console.Usage("--plain and --recipient exclude each other")
	}
	to, err := o.recipients()
	if err != nil {
		return err
	}
	if o.Force, err = o.Console.MayWrite(o.To, o.Force); err != nil { // before a person is asked
		return err
	}
	if o.Plain {
		if err := o.Console.Confirm("write every value unencrypted to " + canon.Escape(o.To) + "?"); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	defer func() { clear(out.Bytes()) }()
	n := 0
	err = o.Console.Session(ctx, func(s *sdk.Client) error {
		items, values, err := o.collect(ctx, s)
		defer func() {
			for _, v := range values {
				for _, b := range v {
					clear(b)
				}
			}
		}()
		if err != nil {
			return err
		}
		n = len(items)
		return encode(&out, items, values)
	})
	if err != nil {
		return err
	}
	file := out.Bytes()
	if !o.Plain {
		if file, err = seal(file, to); err != nil {
			return fault.Wrap(fault.Unavailable, "export", o.To, err)
		}
	}
	if err := o.Console.WriteFile(o.To, file, 0o600, o.Force); err != nil {
		return err
	}
	return o.Console.Print(map[string]any{"path": o.To, "items": n}, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d items\n", canon.Escape(o.To), n)
	})
}

// recipients are those given, or a passphrase typed twice.
func (o Options) recipients() ([]age.Recipient, error) {
	if o.Plain {
		return nil, nil
	}
	if len(o.Recipients) > 0 {
		r, err := age.ParseRecipients(strings.NewReader(strings.Join(o.Recipients, "\n")))
		if err != nil {
			return nil, console.Usage("--recipient wants public keys of age, such as age1...")
		}
		return r, nil
	}
	p, _, err := o.Console.Passphrase("passphrase of the export: ", "")
	if err != nil {
		return nil, err
	}
	defer clear(p)
	again, _, err := o.Console.Passphrase("passphrase again: ", "")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	switch {
	case !bytes.Equal(p, again):
		return nil, console.Usage("the two entries differ")
	case utf8.RuneCount(p) < minPhrase:
		return nil, console.Usage("the passphrase is shorter than %d characters", minPhrase)
	}
	r, err := age.NewScryptRecipient(string(p))
	if err != nil {
		return nil, console.Usage("age does not take this passphrase")
	}
	return []age.Recipient{r}, nil
}

// collect fetches the items and asks for their values, vault by vault, so that
// no approval covers more than one. The caller wipes the values, also on error.
func (o Options) collect(ctx context.Context, s *sdk.Client) ([]api.Item, []shape.Values, error) {
	var items []api.Item
	err := s.Items(ctx, api.ItemList{Vault: o.Vault}, func(it api.Item) error {
		items = append(items, it)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	values := make([]shape.Values, len(items))
	b := batch{into: values}
	for i := range items {
		if items[i], err = s.ItemGet(ctx, api.ItemGet{Vault: items[i].Vault.ID, Item: items[i].ID}, o.Console.Waiting); err != nil {
			return nil, values, err
		}
		values[i] = shape.Values{}
		it := items[i]
		for j, f := range it.Fields {
			if !f.Concealed || !f.Value {
				continue
			}
			if f.Size > api.MaxValue { // it would not fit into JSON that a program can read
				o.Console.Say("warning: left out, longer than 16 MiB: %s", canon.Escape(f.Reference))
				o.Console.Say("hint: thumbturn read --out-file FILE '%s'", canon.Escape(f.Reference))
				continue
			}
			if len(b.refs) == batchSize || b.vault != it.Vault.ID {
				if err := b.ask(ctx, s, o); err != nil {
					return nil, values, err
				}
				b.vault = it.Vault.ID
			}
			// By ids: titles may stand twice.
			b.refs = append(b.refs, ref.Ref{Vault: it.Vault.ID, Item: it.ID, Field: f.ID}.String())
			b.at = append(b.at, [2]int{i, j})
		}
	}
	return items, values, b.ask(ctx, s, o)
}

// batch is what is asked for in one request.
type batch struct {
	vault string
	refs  []string
	at    [][2]int // item and field of each
	into  []shape.Values
}

func (b *batch) ask(ctx context.Context, s *sdk.Client, o Options) error {
	if len(b.refs) == 0 {
		return nil
	}
	want := api.Want{Sink: "reveal", Refs: b.refs, Program: api.Program{Argv: o.argv()}}
	if dir, err := o.Dir(); err == nil {
		want.Program.Dir = dir
	}
	_, values, err := s.Release(ctx, want, o.Console.Waiting)
	if err != nil {
		return err
	}
	for n, at := range b.at {
		b.into[at[0]][at[1]] = values[n]
	}
	b.refs, b.at = nil, nil
	return nil
}

// argv is the command as the request names it: what is exported, where to, and
// who will be able to read it.
func (o Options) argv() []string {
	argv := []string{"thumbturn", "export", "--to", o.To}
	if o.Vault != "" {
		argv = append(argv, "--vault", o.Vault)
	}
	for _, r := range o.Recipients {
		argv = append(argv, "--recipient", r)
	}
	if o.Plain {
		argv = append(argv, "--plain")
	}
	return argv
}

// encode writes the list of items. A value that is not text is in base64 and
// says so.
func encode(w io.Writer, items []api.Item, values []shape.Values) error {
	all := []shape.JSON{}
	for i, it := range items {
		odd := map[int]string{}
		for j, v := range values[i] {
			if !utf8.Valid(v) {
				odd[j] = base64.StdEncoding.EncodeToString(v)
				values[i][j] = []byte{}
				clear(v)
			}
		}
		shaped, err := shape.Of(it, values[i])
		if err != nil {
			return err
		}
		for j, text := range odd {
			shaped.Fields[j].Value, shaped.Fields[j].Encoding = text, "base64"
		}
		all = append(all, shaped)
	}
	c := console.Console{Out: w}
	return c.PrintJSON(all)
}

// seal encrypts by age.
func seal(text []byte, to []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
