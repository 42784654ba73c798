//go:build unix

package importer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/ref"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// desk is a person before a daemon that keeps what it is given.
type desk struct {
	t        *testing.T
	o        Options
	dir      string // the project's folder, named shop
	out, err bytes.Buffer

	mu     sync.Mutex
	items  map[string]api.Item // by folded title
	values map[string]string   // by reference
	puts   []api.ItemPut
	before func(api.Op)            // called before an operation
	refuse func(api.Op) *api.Error // nil, or what an operation is answered with
	met    int
	lose   bool // a put forgets its last field
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, items: map[string]api.Item{}, values: map[string]string{}, dir: filepath.Join(t.TempDir(), "shop")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := sdktest.Start(t, d.answer)
	c := &console.Console{Out: &d.out, Err: &d.err, Format: "human", Now: time.Now, Getenv: func(string) string { return "" },
		Dial: func(ctx context.Context) (*sdk.Client, error) { return sdk.Dial(ctx, s.Home, sdk.Options{}) }}
	d.o = Options{Console: c, Dir: func() (string, error) { return d.dir, nil }, GPG: "/nonexistent/gpg", Conflict: "skip"}
	return d
}

func (d *desk) answer(c sdktest.Call) []sdktest.Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil {
		d.before(c.Op)
	}
	if d.refuse != nil {
		if e := d.refuse(c.Op); e != nil {
			return []sdktest.Message{{Error: e}}
		}
	}
	switch c.Op {
	case api.OpVaultList:
		return []sdktest.Message{{Body: []api.Vault{{ID: "v1", Name: "dev", Tier: "standard"}, {ID: "v2", Name: "prod", Tier: "presence"}}}}
	case api.OpItemList:
		list := []api.Item{}
		for _, it := range d.items {
			list = append(list, it)
		}
		return []sdktest.Message{{Body: list}}
	case api.OpItemGet:
		var in api.ItemGet
		c.Into(d.t, &in)
		if it, ok := d.items[ref.Fold(in.Item)]; ok {
			return []sdktest.Message{{Body: it}}
		}
		return []sdktest.Message{{Error: &api.Error{Kind: "not-found", Msg: "no such item"}}}
	case api.OpItemPut:
		return []sdktest.Message{d.put(c)}
	case api.OpRelease:
		var in api.Want
		c.Into(d.t, &in)
		m := sdktest.Message{Body: api.Released{Receipt: 1}}
		for _, r := range in.Refs {
			m.Values = append(m.Values, []byte(d.values[r]))
		}
		if in.Sink != "reveal" {
			d.t.Errorf("sink %q", in.Sink)
		}
		return []sdktest.Message{m}
	}
	return []sdktest.Message{{Error: &api.Error{Kind: "usage", Msg: "unexpected " + string(c.Op)}}}
}

func (d *desk) put(c sdktest.Call) sdktest.Message {
	var in api.ItemPut
	c.Into(d.t, &in)
	if _, ok := d.items[ref.Fold(in.Title)]; ok {
		return sdktest.Message{Error: &api.Error{Kind: "exists", Op: "item create", Msg: "there is an item of that title"}}
	}
	if in.Mode != "create" || in.Vault != "v1" || len(c.Values) != len(in.Fields) {
		d.t.Errorf("put %+v with %d values", in, len(c.Values))
	}
	d.puts = append(d.puts, in)
	it := api.Item{ID: "i", Title: in.Title, Vault: api.Vault{ID: "v1", Name: "dev"}, Fields: in.Fields}
	for i, f := range in.Fields {
		d.values["op://dev/"+in.Title+"/"+f.Label] = string(c.Values[i])
	}
	if d.lose {
		it.Fields = it.Fields[:len(it.Fields)-1]
	}
	d.items[ref.Fold(in.Title)] = it
	return sdktest.Message{Body: api.ItemPutReply{Item: it}}
}

// file writes a file into the project's folder and returns its path.
func (d *desk) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *desk) text(name string) string {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// meet makes what the test set known to the server, and the other way round.
func (d *desk) meet() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.met++
}

// run imports and wants success, or an error of that kind.
func (d *desk) run(path string, want fault.Kind, change ...func(*Options)) string {
	d.t.Helper()
	d.out.Reset()
	d.err.Reset()
	o := d.o
	for _, f := range change {
		f(&o)
	}
	d.meet()
	err := Import(d.t.Context(), o, path)
	d.meet()
	e := console.Fault(err)
	if want == good && err != nil || want != good && (e == nil || e.Kind != want) {
		d.t.Fatalf("%v, want %q\n%s%s", err, want, &d.out, &d.err)
	}
	said := d.out.String() + d.err.String()
	if e != nil {
		said += e.Error() + e.Hint
	}
	if strings.Contains(said, "S3CRET") {
		d.t.Errorf("a value was shown: %s", said)
	}
	return said
}

// good is no error; the zero kind is an internal one.
const good fault.Kind = "good"
