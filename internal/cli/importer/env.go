package importer

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/dotenv"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

const (
	maxEnv  = 1 << 20 // bytes of an env file
	maxKeys = 1000    // fields of its item
	// receipt is the label of the field that keeps the original file. No key of
	// an env file holds a space, so none has that name.
	receipt = "original .env"
)

// converted is a value that moved into the vault.
type converted struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	label     string
	entry     int
}

// stayed is one that did not.
type stayed struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// envReport is what an import of an env file did.
type envReport struct {
	File      string      `json:"file"`
	Vault     string      `json:"vault"`
	Item      string      `json:"item"`
	Converted []converted `json:"converted"`
	Left      []stayed    `json:"left"`
	DryRun    bool        `json:"dry_run"`
}

func importEnv(ctx context.Context, o Options, path string) error {
	data, f, err := readFile(path, maxEnv)
	if err != nil {
		return err
	}
	defer clear(data)
	env, err := parseEnv(path, data)
	if err != nil {
		return err
	}
	title := strings.TrimSpace(o.Item)
	if title == "" {
		title = strings.TrimSpace(filepath.Base(filepath.Dir(path)))
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		v, err := o.vault(ctx, s)
		if err != nil {
			return err
		}
		if o.Conflict == "rename" {
			taken, err := titles(ctx, s, v)
			if err != nil {
				return err
			}
			title = free(title, taken)
		}
		r := envReport{File: path, Vault: v.Name, Item: title, DryRun: o.DryRun, Converted: []converted{}, Left: []stayed{}}
		values := r.plan(env, o.All)
		defer func() { sdk.Wipe(values...) }()
		if len(r.Converted) > maxKeys {
			return fault.New(fault.Usage, "import", path, fmt.Sprintf("has more than %d secrets", maxKeys))
		}
		if o.DryRun {
			if _, err := s.ItemGet(ctx, api.ItemGet{Vault: v.ID, Item: title}, o.Console.Waiting); err == nil {
				return exists(fault.New(fault.Exists, "import", v.Name+"/"+title, "there is an item of that title"))
			}
		}
		if len(r.Converted) > 0 && !o.DryRun {
			now, err := r.rewrite(env)
			if err == nil {
				err = f.same(data)
			}
			if err == nil {
				err = r.store(ctx, o, s, v, values, data)
			}
			if err != nil {
				return err
			}
			if err := f.replace(data, now); err != nil {
				return console.Fault(err).WithHint("the item " + v.Name + "/" + title + " was made and holds the values; delete it or go on by hand")
			}
		}
		return o.Console.Print(r, r.print)
	})
}

// parseEnv reads an env file without the environment: only what stands in the
// file itself may move.
func parseEnv(path string, data []byte) (dotenv.File, error) {
	env, err := dotenv.Parse(filepath.Base(path), data, nil)
	if err != nil {
		return env, fault.New(fault.Usage, "import", "", err.Error())
	}
	return env, nil
}

// plan sorts the entries into what moves and what stays, and returns the values
// that move, each in memory of its own, one for each new field. A key that is
// set again with another value gets a field of another name.
func (r *envReport) plan(env dotenv.File, all bool) (values [][]byte) {
	type stored struct{ label, value string }
	labels := map[string]stored{} // by folded label
	for i, e := range env.Entries {
		if len(e.Variables) > 0 {
			r.Left = append(r.Left, stayed{e.Key, "has variables in it"})
			continue
		}
		if why := reason(e.Key, e.Value, all); why != "" {
			r.Left = append(r.Left, stayed{e.Key, why})
			continue
		}
		label := e.Key
		for n := 2; ; n++ {
			have, taken := labels[ref.Fold(label)]
			if !taken {
				labels[ref.Fold(label)] = stored{label, e.Value}
				values = append(values, []byte(e.Value))
				break
			}
			if have.value == e.Value {
				label = have.label
				break
			}
			label = e.Key + "-" + itoa(n)
		}
		reference := ref.Ref{Vault: r.Vault, Item: r.Item, Field: label}.String()
		r.Converted = append(r.Converted, converted{e.Key, reference, label, i})
	}
	return values
}

// rewrite returns the file with its references, after reading it back: every
// entry must say what was meant.
func (r *envReport) rewrite(env dotenv.File) ([]byte, error) {
	used := map[string]bool{}
	for _, e := range env.Entries {
		for _, name := range e.Variables {
			used[name] = true
		}
	}
	texts, want := map[int]string{}, map[int]string{}
	for _, c := range r.Converted {
		if _, err := ref.Parse(c.Reference); err != nil { // a folder's name may be any bytes
			return nil, fault.New(fault.Usage, "import", r.Vault+"/"+r.Item, "no reference can be written with such a title").WithHint("name the item with --item")
		}
		e := env.Entries[c.entry]
		text := c.Reference
		if used[e.Key] { // part of a longer text elsewhere, where it must show its end
			text = "{{ " + text + " }}"
		}
		want[c.entry] = text
		switch {
		case e.Quote != dotenv.None:
			text = string(e.Quote) + text + string(e.Quote)
		case strings.Contains(text, " "): // so that a shell can still read it
			text = `"` + text + `"`
		}
		texts[c.entry] = text
	}
	now := env.Rewrite(texts)
	back, err := dotenv.Parse(env.Name, now, nil)
	ok := err == nil && len(back.Entries) == len(env.Entries)
	for i := 0; ok && i < len(env.Entries); i++ {
		e, b := env.Entries[i], back.Entries[i]
		text, moved := want[i]
		if !moved {
			text = e.Value
		}
		ok = b.Key == e.Key && (b.Value == text || len(e.Variables) > 0)
	}
	if !ok {
		return nil, fault.New(fault.Internal, "import", r.File, "the file cannot be rewritten without changing its meaning; it was left as it is")
	}
	return now, nil
}

// store makes the item, with the whole file as the receipt, and looks that it
// is there before any value leaves the file.
func (r *envReport) store(ctx context.Context, o Options, s *sdk.Client, v api.Vault, values [][]byte, data []byte) error {
	in := api.ItemPut{Ask: o.Ask, Mode: "create", Vault: v.ID, Item: r.Item, Title: r.Item, Category: "API_CREDENTIAL"}
	seen := map[string]bool{}
	for _, c := range r.Converted {
		if !seen[c.label] {
			seen[c.label] = true
			in.Fields = append(in.Fields, api.Field{Label: c.label, Type: "CONCEALED", Concealed: true, Value: true})
		}
	}
	in.Fields = append(in.Fields, api.Field{Label: receipt, Type: "CONCEALED", Concealed: true, Value: true})
	got, err := s.ItemPut(ctx, in, append(values[:len(values):len(values)], data), o.Console.Waiting)
	if e := console.Fault(err); e != nil && e.Kind == fault.Exists {
		return exists(e)
	}
	if err != nil {
		return o.Console.Parked(err)
	}
	there := map[string]bool{}
	for _, f := range got.Item.Fields {
		there[f.Label] = f.Concealed && !f.Pending
	}
	for _, f := range in.Fields {
		if got.Proposed || !there[f.Label] {
			return fault.New(fault.Internal, "import", r.Vault+"/"+r.Item, "the item does not hold all values; the file was left as it is")
		}
	}
	return nil
}

func exists(e *fault.Error) error {
	return e.WithHint("name another with --item, or add --on-conflict rename")
}

func (r *envReport) print(w io.Writer) {
	for _, c := range r.Converted {
		fmt.Fprintf(w, "%s → %s\n", canon.Escape(c.Name), canon.Escape(c.Reference))
	}
	for _, l := range r.Left {
		fmt.Fprintf(w, "%s stays: it %s\n", canon.Escape(l.Name), l.Reason)
	}
	file := canon.Escape(filepath.Base(r.File))
	switch {
	case len(r.Converted) == 0:
		fmt.Fprintf(w, "nothing in %s looks like a secret; --all takes what is not empty\n", file)
	case r.DryRun:
		fmt.Fprintf(w, "%s would be moved from %s into %s; nothing was changed\n", count(len(r.Converted), "value"), file, canon.Escape(r.Vault+"/"+r.Item))
	default:
		fmt.Fprintf(w, "%s moved from %s into %s; the original is kept there\n", count(len(r.Converted), "value"), file, canon.Escape(r.Vault+"/"+r.Item))
	}
}

// count prints "1 value", "2 values".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return itoa(n) + " " + noun
}

func itoa(n int) string { return strconv.Itoa(n) }
