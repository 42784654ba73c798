package importer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/dotenv"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
)

// undo puts an env file back as it was before its import. The values leave the
// vault for a file, so it is a reveal like that of read.
func undo(ctx context.Context, o Options, path string) error {
	data, f, err := readFile(path, maxEnv)
	if err != nil {
		return err
	}
	defer clear(data)
	env, err := parseEnv(path, data)
	if err != nil {
		return err
	}
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		from, err := o.receipt(ctx, s, path, env)
		if err != nil {
			return err
		}
		if o.DryRun {
			return o.restored(path, from, "would be restored from")
		}
		dir, _ := o.Dir() // it was asked before
		want := api.Want{Ask: o.Ask, Sink: "reveal", Refs: []string{from.String()},
			Program: api.Program{Argv: []string{"thumbturn", "import", "--undo", path}, Dir: dir}}
		_, values, err := s.Release(ctx, want, o.Console.Waiting)
		if err != nil {
			return o.Console.Parked(err)
		}
		defer sdk.Wipe(values...)
		if !o.Force && !untouched(env, values[0], from) {
			return fault.New(fault.Conflict, "import", path, "the file was changed since its import").
				WithHint("--force puts the original back all the same, and the changes are lost")
		}
		if err := f.replace(data, values[0]); err != nil {
			return err
		}
		o.Console.Say("%s holds its values in clear again; the item stays", canon.Escape(filepath.Base(path)))
		return o.restored(path, from, "restored from")
	})
}

func (o Options) restored(path string, from ref.Ref, what string) error {
	out := map[string]any{"file": path, "reference": from.String(), "dry_run": o.DryRun}
	return o.Console.Print(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s %s\n", canon.Escape(filepath.Base(path)), what, canon.Escape(from.String()))
	})
}

// receipt finds the one item to which the file refers that keeps an original.
func (o Options) receipt(ctx context.Context, s *sdk.Client, path string, env dotenv.File) (ref.Ref, error) {
	var hits []ref.Ref
	seen := map[ref.Ref]bool{}
	for _, e := range env.Entries {
		t, err := ref.ParseValue(e.Value)
		if err != nil {
			continue
		}
		for _, r := range t.Refs() {
			at := ref.Ref{Vault: r.Vault, Item: r.Item, Field: receipt}
			if seen[at] || o.Item != "" && ref.Fold(o.Item) != ref.Fold(r.Item) ||
				o.Vault != "" && ref.Fold(o.Vault) != ref.Fold(r.Vault) {
				continue
			}
			seen[at] = true
			it, err := s.ItemGet(ctx, api.ItemGet{Vault: r.Vault, Item: r.Item}, o.Console.Waiting)
			if e := console.Fault(err); e != nil && e.Kind == fault.NotFound {
				continue
			}
			if err != nil {
				return ref.Ref{}, err
			}
			for _, f := range it.Fields {
				if f.Label == receipt && f.Section == "" && f.Concealed {
					hits = append(hits, at)
				}
			}
		}
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return ref.Ref{}, fault.New(fault.NotFound, "import", path, "it refers to no item that keeps an original")
	}
	var list []string
	for _, h := range hits {
		list = append(list, h.Vault+"/"+h.Item)
	}
	return ref.Ref{}, fault.New(fault.Ambiguous, "import", path, "it was imported more than once").
		WithHint("name the import to undo with --item: " + strings.Join(list, ", "))
}

// untouched reports whether the file is its original but for references to the
// item that keeps it.
func untouched(env dotenv.File, original []byte, from ref.Ref) bool {
	was, err := dotenv.Parse(env.Name, original, nil)
	if err != nil || len(was.Entries) != len(env.Entries) {
		return false
	}
	now, before := env.Bytes(), map[int]string{}
	for i, e := range env.Entries {
		t, err := ref.ParseValue(e.Value)
		if err != nil {
			continue
		}
		if refs := t.Refs(); len(refs) == 1 && refs[0].Vault == from.Vault && refs[0].Item == from.Item {
			before[i] = string(now[e.Start:e.End])
		}
	}
	return bytes.Equal(was.Rewrite(before), now)
}
