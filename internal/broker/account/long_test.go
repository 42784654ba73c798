//go:build unix

package account_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/reveal"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/store"
	"github.com/thumbturn/thumbturn/ref"
)

const longSize = 16<<20 + 9

// lent is a long value of canaries; at its middle it calls between.
func lent(between func() error) vault.Text {
	return vault.Text{Size: longSize, Each: func(use func([]byte) error) error {
		chunk := bytes.Repeat([]byte(canary), api.PartSize/len(canary)+1)
		for left := int64(longSize); left > 0; left -= api.PartSize {
			if left > longSize/2 && left <= longSize/2+api.PartSize && between != nil {
				if err := between(); err != nil {
					return err
				}
			}
			if err := use(bytes.Clone(chunk[:api.PartLen(left)])); err != nil {
				return err
			}
		}
		return nil
	}}
}

func long(mode vault.Mode, title string, text vault.Text) vault.Put {
	return vault.Put{Mode: mode, Vault: "dev", Item: title, Changes: []vault.Change{{
		Field: vault.Field{Label: "image", Type: "FILE", Concealed: true}, Long: text}}}
}

// left counts the pieces of an item, and all marks.
func (h *home) left(item string) (pieces, marks int) {
	h.t.Helper()
	ctx := context.Background()
	count := func(n *int) func(store.Blob) error { return func(store.Blob) error { *n++; return nil } }
	if err := h.db.List(ctx, item, store.Piece, count(&pieces)); err != nil {
		h.t.Fatal(err)
	}
	if err := h.db.List(ctx, "", store.Mark, count(&marks)); err != nil {
		h.t.Fatal(err)
	}
	return pieces, marks
}

// reveal asks for one value as `read` does and returns the bytes that arrived.
func (h *home) reveal(to func(*net.UnixConn) broker.Sink, name string) (int, error) {
	h.t.Helper()
	client, server := h.pair()
	got := make(chan int, 1)
	go func() {
		n := 0
		defer func() { got <- n }()
		_ = client.SetReadDeadline(time.Now().Add(30 * time.Second))
		hd, err := api.ReadHeader(client)
		if err != nil || len(hd.Streams) != 1 {
			return
		}
		for left := hd.Streams[0]; left > 0; left -= api.PartSize {
			b := make([]byte, api.PartLen(left))
			if api.ReadPart(client, b) != nil {
				return
			}
			n += len(b)
		}
	}()
	r, _ := ref.Parse(name)
	ask := broker.Ask{Waiting: func(t approve.Ticket) (func(), error) {
		go func() { _ = h.yes(t.ID) }()
		return func() {}, nil
	}}
	_, err := h.broker.Release(context.Background(), h.who, broker.Want{Ask: ask, Refs: []ref.Ref{r}}, to(server))
	_ = server.CloseWrite()
	return <-got, err
}

func stream(c *net.UnixConn) broker.Sink { return reveal.To(c, api.Program{}, nil, true) }

// A long value is current or not there: what else is written, or fails, while it
// arrives decides which.
func TestLongPut(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	never := vault.Text{Size: longSize, Each: func(func([]byte) error) error { t.Error("taken before it was allowed"); return nil }}
	for name, p := range map[string]vault.Put{
		"no such vault": {Mode: vault.Create, Vault: "nowhere", Item: "x", Changes: long("", "", never).Changes},
		"no such item":  long(vault.Edit, "nothing", never),
		"title taken":   long(vault.Create, "Stripe", never),
		"in plain": {Mode: vault.Create, Vault: "dev", Item: "x", Changes: []vault.Change{{
			Field: vault.Field{Label: "image", Type: "STRING"}, Long: never}}},
	} {
		if _, err := h.broker.Put(ctx, h.who, p); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	short := func(mode vault.Mode, title string) error {
		_, err := h.broker.Put(ctx, h.who, vault.Put{Mode: mode, Vault: "dev", Item: title, Changes: []vault.Change{{
			Field: vault.Field{Label: "note", Type: "STRING"}, Value: []byte("n")}}})
		return err
	}
	for _, c := range []struct {
		name    string
		put     vault.Put
		between func() error
		want    fault.Kind
	}{
		{"another takes the title", long(vault.Create, "Raced", vault.Text{}), func() error { return short(vault.Create, "Raced") }, fault.Exists},
		{"another edits the item", long(vault.Edit, "Stripe", vault.Text{}), func() error { return short(vault.Edit, "Stripe") }, fault.Conflict},
		{"it breaks off", long(vault.Create, "Broken", vault.Text{}), func() error { return fault.New(fault.Unavailable, "item", "", "cut") }, fault.Unavailable},
		{"the vaults are locked", long(vault.Create, "Locked", vault.Text{}), func() error { return h.acc.Lock(ctx, "test") }, fault.Locked},
	} {
		var mu sync.Mutex
		var seen []store.Hash
		h.db.set(func(b store.Batch) error {
			mu.Lock()
			defer mu.Unlock()
			for _, x := range b.Blobs {
				if x.Kind == store.Piece || x.Kind == store.Mark {
					seen = append(seen, x.Hash)
				}
			}
			return nil
		}, nil)
		c.put.Changes[0].Long = lent(c.between)
		if _, err := h.broker.Put(ctx, h.who, c.put); !fault.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		h.db.set(nil, nil)
		for _, x := range seen {
			if h.db.Store.Blobs(ctx, []store.Hash{x}, func(store.Blob) error { return nil }) == nil {
				t.Errorf("%s: a piece or mark stays", c.name)
				break
			}
		}
		if len(seen) < 100 {
			t.Errorf("%s: only %d pieces were written", c.name, len(seen))
		}
	}
}

// A long value passes the waist alone, into a sink that takes it, and only when
// all of it has verified.
func TestLongRelease(t *testing.T) {
	t.Parallel()
	h := newPersonsHome(t)
	ctx := context.Background()
	w, err := h.broker.Put(ctx, h.who, long(vault.Create, "Disk", lent(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if p, m := h.left(w.Item.ID); p != 257 || m != 0 || w.Item.Meta.Fields[0].Size != longSize {
		t.Errorf("%d pieces, %d marks, size %d", p, m, w.Item.Meta.Fields[0].Size)
	}
	const name = "op://dev/Disk/image"
	if n, err := h.reveal(stream, name); n != longSize || err != nil {
		t.Fatalf("%d bytes: %v", n, err)
	}
	from := h.events()
	for sink, to := range map[string]func(*net.UnixConn) broker.Sink{
		"handoff": func(c *net.UnixConn) broker.Sink { return handoff.To(c, api.Program{}, nil, []string{"X"}) },
		"whole":   func(c *net.UnixConn) broker.Sink { return reveal.To(c, api.Program{}, nil, false) },
	} {
		if n, err := h.reveal(to, name); n != 0 || !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %d bytes, %v", sink, n, err)
		}
	}
	if n, err := h.reveal(stream, name+"?ssh-format=openssh"); n != 0 || !fault.Is(err, fault.Usage) {
		t.Errorf("in another form: %d bytes, %v", n, err)
	}
	if says := h.ledgerSays(from); says["denial/usage"] != 3 || len(says) != 1 {
		t.Errorf("the ledger says %v", says)
	}
	// The last piece is changed: nothing leaves. Between the passes: not all does.
	for what, from := range map[string]int{"a changed piece": 257, "changed between": 2 * 257} {
		read := 0
		h.db.set(nil, func(b store.Blob) store.Blob {
			if b.Kind == store.Piece {
				if read++; read == from {
					b.Bytes = bytes.Clone(b.Bytes)
					b.Bytes[len(b.Bytes)-1] ^= 1
				}
			}
			return b
		})
		n, err := h.reveal(stream, name)
		h.db.set(nil, nil)
		if !fault.Is(err, fault.Tampered) || n == longSize || from == 257 && n != 0 {
			t.Errorf("%s: %d bytes: %v", what, n, err)
		}
	}
	h.db.set(nil, func(b store.Blob) store.Blob {
		if b.Kind == store.Piece {
			b.Bytes = nil
		}
		return b
	})
	v, err := h.acc.Verify(ctx)
	h.db.set(nil, nil)
	if err != nil || len(v.Problems) != 1 || !strings.Contains(v.Problems[0], w.Item.ID+" image") {
		t.Errorf("%v, %v", v.Problems, err)
	}
	if v, err = h.acc.Verify(ctx); err != nil || len(v.Problems) != 0 || v.Blobs < 257 {
		t.Errorf("%d blobs, %v, %v", v.Blobs, v.Problems, err)
	}
	var b bytes.Buffer
	if err := h.acc.Export(ctx, func(line []byte) error { b.Write(line); return nil }); err != nil || bytes.Contains(b.Bytes(), []byte(canary)) {
		t.Errorf("the export: %v", err)
	}
}
