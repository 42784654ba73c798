// Package home founds a real account in a folder of its own, for replays: with a clock
// moved by hand, made-up processes that ask, and a person who answers.
package home

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/account"
	"github.com/thumbturn/thumbturn/internal/broker/vault"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/local"
	"github.com/thumbturn/thumbturn/internal/store/sqlite"
	"github.com/thumbturn/thumbturn/ref"
)

const (
	unlockPhrase   = "cobalt-harbour-thimble-orchard-lantern"
	presencePhrase = "velvet-anchor-pumice-ladder-citadel"
)

// Clock is moved by hand.
type Clock struct {
	mu   sync.Mutex
	from time.Time
	gone time.Duration
}

func (h *Clock) Now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.from.Add(h.gone) }
func (h *Clock) SinceBoot() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Hour + h.gone
}

// Since is how long after the beginning a time of the ledger is.
func (h *Clock) Since(milli int64) time.Duration { return time.UnixMilli(milli).Sub(h.from) }

// To moves it to a time after the beginning.
func (h *Clock) To(at time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.gone = at }

// Home is a real account in a folder of its own, among the processes of a cast.
type Home struct {
	dir    string
	cast   *cast
	Clock  *Clock
	dev    *device.Device
	db     *sqlite.DB
	acc    *account.Account
	Broker *broker.Broker
}

// New founds a home: two vaults, dev (standard) and prod (presence).
func New(ctx context.Context, dir string, actors []Actor) (*Home, error) {
	c := newCast(actors)
	h := &Home{dir: dir, cast: c, Clock: &Clock{from: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}}
	data := filepath.Join(dir, "data")
	err := os.Mkdir(data, 0o700)
	if err != nil {
		return nil, err
	}
	if h.dev, err = device.Create(filepath.Join(dir, "device"), data, rand.Reader); err != nil {
		return nil, err
	}
	if h.db, err = sqlite.Open(filepath.Join(data, "prompts.db"), sqlite.Options{}); err != nil {
		return nil, errors.Join(err, h.dev.Close())
	}
	h.acc, h.Broker, err = account.Open(ctx, account.Options{Store: h.db, Device: h.dev, Clock: h.Clock, Rand: rand.Reader, Free: func() {}, // memory is not what is counted
		Who: func(test bool) *identity.Registry { return identity.New(c, identity.Options{TestHome: test}) }})
	if err != nil {
		return nil, errors.Join(err, h.db.Close(), h.dev.Close())
	}
	err = h.as(ctx, personPID, []string{"thumbturn", "init"}, func(who identity.Caller, _, _ *local.Conn) error {
		_, err := h.acc.Init(ctx, who, false, "terminal", []byte(unlockPhrase), []byte(presencePhrase))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, h.Close(ctx))
	}
	return h, nil
}

// Close ends it.
func (h *Home) Close(ctx context.Context) error {
	return errors.Join(h.acc.Close(ctx, "the replay ends"), h.db.Close(), h.dev.Close())
}

// as lets a process connect and call f with who it is found to be. f gets both
// ends of the connection.
func (h *Home) as(ctx context.Context, pid int, argv []string, f func(who identity.Caller, client, server *local.Conn) error) error {
	client, server, err := pair(h.dir)
	if err != nil {
		return err
	}
	defer client.Close()
	defer server.Close()
	h.cast.connects(pid, argv)
	who, err := h.acc.Who().Caller(ctx, server)
	if err != nil {
		return err
	}
	defer who.Close()
	return f(who, client, server)
}

// Asks lets the thumbturn of an actor connect.
func (h *Home) Asks(ctx context.Context, actor string, argv []string, f func(who identity.Caller, client, server *local.Conn) error) error {
	return h.as(ctx, h.cast.asks[actor], argv, f)
}

// Approve is one gesture of the person in the unlocked terminal, for all requests of
// a question, with the same lease for each.
func (h *Home) Approve(ctx context.Context, ids []string, l approve.Lease) error {
	return h.as(ctx, answerPID, append([]string{"thumbturn", "approve"}, ids...), func(who identity.Caller, _, _ *local.Conn) error {
		for _, id := range ids {
			if err := h.Broker.Approve(ctx, who, id, broker.Answer{Source: "terminal", Lease: l, Secret: []byte(presencePhrase)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Deny is that person's no to one request.
func (h *Home) Deny(ctx context.Context, id string) error {
	return h.as(ctx, answerPID, []string{"thumbturn", "deny", id}, func(who identity.Caller, _, _ *local.Conn) error {
		return h.Broker.Deny(ctx, who, id)
	})
}

// Govern applies the built-in policy with the one line that the manual has for
// leases, for a time, and writes the items.
func (h *Home) Govern(ctx context.Context, refs []string, life time.Duration) error {
	return h.as(ctx, personPID, []string{"thumbturn", "policy", "apply"}, func(who identity.Caller, _, _ *local.Conn) error {
		text, _, err := h.Broker.Policy(who)
		if err != nil {
			return err
		}
		draft := strings.Replace(text, "@id(\"agent-hold\")\n", "@id(\"agent-hold\")\n@lease(\""+life.String()+"\")\n", 1)
		if draft == text {
			return errors.New("the built-in policy has no rule agent-hold")
		}
		err = h.Broker.ApplyPolicy(ctx, who, broker.Ask{NoWait: true}, draft)
		id, ok := Waits(err)
		if !ok {
			return fmt.Errorf("policy apply: %w", err)
		}
		if err := h.Approve(ctx, []string{id}, approve.Lease{}); err != nil {
			return err
		}
		if err := h.Broker.ApplyPolicy(ctx, who, broker.Ask{NoWait: true, Request: id}, draft); err != nil {
			return err
		}
		for _, x := range refs {
			if err := h.Put(ctx, who, broker.Ask{}, x, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// Put writes a new value, and addresses where they are given.
func (h *Home) Put(ctx context.Context, who identity.Caller, a broker.Ask, x string, urls []string) error {
	r, err := ref.Parse(x)
	if err != nil {
		return err
	}
	p := vault.Put{Ask: a, Mode: vault.Set, Vault: r.Vault, Item: r.Item, URLs: urls}
	if urls == nil {
		p.Changes = []vault.Change{{Field: vault.Field{Label: r.Field, Type: "CONCEALED", Concealed: true}, Value: fmt.Appendf(nil, "value of %s at %v", x, h.Clock.Now())}}
	}
	_, err = h.Broker.Put(ctx, who, p)
	return err
}

// Waits is the id of the request that waits for a person, by what was said of it.
func Waits(err error) (id string, ok bool) {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Pending {
		return "", false
	}
	return e.Ref, true
}

// Settle waits until the late events are written too, and counts all.
func (h *Home) Settle() int64 {
	var s api.Status
	for before := int64(-1); ; before = s.Events {
		time.Sleep(50 * time.Millisecond)
		_ = h.acc.Ledger.Flush(context.Background()) // where it fails nothing comes
		if h.acc.Describe(&s); s.Events == before {
			return before
		}
	}
}

// Events reads those of the ledger from a place on.
func (h *Home) Events(ctx context.Context, from int64) (all []canon.Event, err error) {
	err = h.acc.Events(ctx, api.AuditFilter{From: from}, func(e api.Event) error {
		var ev canon.Event
		if err := canon.Decode(e.Body, &ev); err != nil {
			return err
		}
		all = append(all, ev)
		return nil
	})
	return all, err
}

// Arrived reads what came out of the broker: as many values as were asked for.
func Arrived(client *local.Conn, n int) error {
	if err := client.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	hd, err := api.ReadHeader(client)
	if err != nil || hd.Values != n {
		return fmt.Errorf("%d values came for %d references: %w", hd.Values, n, err)
	}
	for range n {
		if b, err := api.ReadValue(client); err != nil || !strings.HasPrefix(string(b), "value of op://") {
			return fmt.Errorf("not the value: %w", err)
		}
	}
	return nil
}
