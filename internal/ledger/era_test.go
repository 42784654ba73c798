package ledger_test

import (
	"context"
	"crypto/ed25519"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/ledger"
)

const heir = "1123456789abcdefghjkmnpqr0"

// inherited is a rig whose ledger holds some of one device, and the device that
// will take it over.
func inherited(t *testing.T) (r *rig, from ledger.Key, note string, next *desk) {
	t.Helper()
	r = newRig(t)
	l := r.open(t)
	begin(t, l)
	must(t, errOf(l.Append(context.Background(), ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "0")}, Events: []canon.Event{event(0), event(1)}})))
	must(t, l.Close())
	_, text := l.Head()
	next = newDesk()
	next.id = heir
	return r, ledger.Key{Device: r.dev.id, Public: r.dev.key.Public().(ed25519.PublicKey)}, string(text), next
}

func given(d *desk, head string) ledger.Signed {
	return ledger.Signed{Statement: canon.Statement{Type: canon.TypeDevice, Subject: "device", Version: 1, Payload: canon.Encode(
		canon.Device{V: 1, Device: d.id, DeviceKey: canon.Bytes(d.key.Public().(ed25519.PublicKey)), Head: head})}}
}

func replayed(t *testing.T, l *ledger.Ledger) error {
	t.Helper()
	return l.Replay(context.Background(), func(int64, ledger.Signed, []byte) error { return nil })
}

// Another device goes on where the first one ended, and each event is read as of
// the device that wrote it.
func TestTakeOver(t *testing.T) {
	ctx := context.Background()
	r, from, note, next := inherited(t)
	r.dev = next
	if l := r.open(t); l.Held() == "" {
		t.Fatal("a stranger's ledger was accepted")
	}
	if who, err := ledger.Owner(ctx, r.db); err != nil || who.Device != from.Device {
		t.Fatalf("%+v, %v", who, err)
	}
	l := r.openFrom(t, &from)
	if l.Held() != "" {
		t.Fatal(l.Held())
	}
	must(t, replayed(t, l))
	begin(t, l)
	must(t, errOf(l.Append(ctx, ledger.Entry{Statements: []ledger.Signed{given(next, note)}, Events: []canon.Event{event(2)}})))
	must(t, l.Close())

	l = r.open(t)
	if l.Held() != "" {
		t.Fatal(l.Held())
	}
	must(t, l.Leaves(ctx))
	must(t, replayed(t, l))
	var read []string
	err := l.Events(ctx, 0, 0, func(device string, _ []byte) (ledger.Opener, error) {
		return func(int64, canon.Hash, []byte) ([]byte, error) { return append(make([]byte, 32), device...), nil }, nil
	}, func(e ledger.Event) error { read = append(read, string(e.Body)); return nil })
	if err != nil || len(read) != 3 || read[0] != from.Device || read[1] != from.Device || read[2] != heir {
		t.Errorf("%q, %v", read, err)
	}
	if who, err := ledger.Owner(ctx, r.db); err != nil || who.Device != heir {
		t.Errorf("%+v, %v", who, err)
	}
	r.dev = newDesk() // the first device's id, and a key of its own
	if l := r.openFrom(t, &from); l.Held() == "" {
		t.Error("the device before still opens it")
	}
}

// What does not end the part of the device before, exactly here and by its
// signature, gives the ledger to nobody.
func TestTakeOverForged(t *testing.T) {
	for name, forge := range map[string]func(t *testing.T, l *ledger.Ledger, next *desk, note string) ledger.Signed{
		"by nobody": func(_ *testing.T, _ *ledger.Ledger, d *desk, _ string) ledger.Signed { return given(d, "") },
		"cut note":  func(_ *testing.T, _ *ledger.Ledger, d *desk, n string) ledger.Signed { return given(d, n[:len(n)-3]) },
		"another subject": func(_ *testing.T, _ *ledger.Ledger, d *desk, n string) ledger.Signed {
			s := given(d, n)
			s.Subject = "other"
			return s
		},
		"an older head": func(t *testing.T, l *ledger.Ledger, d *desk, n string) ledger.Signed {
			must(t, errOf(l.Append(context.Background(), ledger.Entry{Statements: []ledger.Signed{setting(l, "x", "1")}})))
			return given(d, n)
		},
		"signed by itself": func(t *testing.T, l *ledger.Ledger, d *desk, n string) ledger.Signed {
			must(t, errOf(l.Append(context.Background(), ledger.Entry{Events: []canon.Event{event(9)}})))
			_, own := l.Head()
			return given(d, string(own))
		},
		"to another device": func(_ *testing.T, _ *ledger.Ledger, _ *desk, n string) ledger.Signed {
			e := newDesk()
			e.id = heir
			return given(e, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, from, note, next := inherited(t)
			r.dev = next
			l := r.openFrom(t, &from)
			must(t, replayed(t, l))
			begin(t, l)
			must(t, errOf(l.Append(context.Background(), ledger.Entry{Statements: []ledger.Signed{forge(t, l, next, note)}})))
			must(t, l.Close())
			l = r.open(t)
			if err := replayed(t, l); !fault.Is(err, fault.Tampered) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}
