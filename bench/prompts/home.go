package main

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

// hand is a clock that the replay moves.
type hand struct {
	mu   sync.Mutex
	from time.Time
	gone time.Duration
}

func (h *hand) Now() time.Time           { h.mu.Lock(); defer h.mu.Unlock(); return h.from.Add(h.gone) }
func (h *hand) SinceBoot() time.Duration { h.mu.Lock(); defer h.mu.Unlock(); return time.Hour + h.gone }

// to moves it to a time of the trace.
func (h *hand) to(at time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.gone = at }

// home is a real account in a folder of its own, among the processes of a cast.
type home struct {
	dir    string
	cast   *cast
	clock  *hand
	dev    *device.Device
	db     *sqlite.DB
	acc    *account.Account
	broker *broker.Broker
}

// newHome founds a home: two vaults, dev (standard) and prod (presence).
func newHome(ctx context.Context, dir string, c *cast) (*home, error) {
	h := &home{dir: dir, cast: c, clock: &hand{from: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}}
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
	h.acc, h.broker, err = account.Open(ctx, account.Options{Store: h.db, Device: h.dev, Clock: h.clock, Rand: rand.Reader,
		Who: func(test bool) *identity.Registry { return identity.New(c, identity.Options{TestHome: test}) }})
	if err != nil {
		return nil, errors.Join(err, h.db.Close(), h.dev.Close())
	}
	err = h.as(ctx, personPID, []string{"thumbturn", "init"}, func(who identity.Caller, _, _ *local.Conn) error {
		_, err := h.acc.Init(ctx, who, false, "terminal", []byte(unlockPhrase), []byte(presencePhrase))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, h.close(ctx))
	}
	return h, nil
}

func (h *home) close(ctx context.Context) error {
	return errors.Join(h.acc.Close(ctx, "the replay ends"), h.db.Close(), h.dev.Close())
}

// as lets a process connect and call f with who it is found to be. f gets both
// ends of the connection.
func (h *home) as(ctx context.Context, pid int, argv []string, f func(who identity.Caller, client, server *local.Conn) error) error {
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

// answer says what the person in the unlocked terminal says to a request.
func (h *home) answer(ctx context.Context, id string, yes bool, l approve.Lease) error {
	return h.as(ctx, answerPID, []string{"thumbturn", "approve", id}, func(who identity.Caller, _, _ *local.Conn) error {
		if !yes {
			return h.broker.Deny(ctx, who, id)
		}
		return h.broker.Approve(ctx, who, id, "terminal", l, []byte(presencePhrase), nil)
	})
}

// govern applies the built-in policy with the one line that the manual has for
// leases, and writes the items.
func (h *home) govern(ctx context.Context, refs []string) error {
	return h.as(ctx, personPID, []string{"thumbturn", "policy", "apply"}, func(who identity.Caller, _, _ *local.Conn) error {
		text, _, err := h.broker.Policy(who)
		if err != nil {
			return err
		}
		draft := strings.Replace(text, "@id(\"agent-hold\")\n", "@id(\"agent-hold\")\n@lease(\""+leaseLife.String()+"\")\n", 1)
		if draft == text {
			return errors.New("the built-in policy has no rule agent-hold")
		}
		err = h.broker.ApplyPolicy(ctx, who, broker.Ask{NoWait: true}, draft)
		id, ok := waits(err)
		if !ok {
			return fmt.Errorf("policy apply: %w", err)
		}
		if err := h.answer(ctx, id, true, approve.Lease{}); err != nil {
			return err
		}
		if err := h.broker.ApplyPolicy(ctx, who, broker.Ask{NoWait: true, Request: id}, draft); err != nil {
			return err
		}
		for _, x := range refs {
			if err := h.put(ctx, who, broker.Ask{}, x, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// put writes a new value, and addresses where they are given.
func (h *home) put(ctx context.Context, who identity.Caller, a broker.Ask, x string, urls []string) error {
	r, err := ref.Parse(x)
	if err != nil {
		return err
	}
	p := vault.Put{Ask: a, Mode: vault.Set, Vault: r.Vault, Item: r.Item, URLs: urls}
	if urls == nil {
		p.Changes = []vault.Change{{Field: vault.Field{Label: r.Field, Type: "CONCEALED", Concealed: true}, Value: fmt.Appendf(nil, "value of %s at %v", x, h.clock.Now())}}
	}
	_, err = h.broker.Put(ctx, who, p)
	return err
}

// waits is the id of the request that waits for a person, by what was said of it.
func waits(err error) (id string, ok bool) {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Pending {
		return "", false
	}
	return e.Ref, true
}

// settle waits until the late events are written too, and counts all.
func (h *home) settle() int64 {
	var s api.Status
	for before := int64(-1); ; before = s.Events {
		time.Sleep(300 * time.Millisecond)
		if h.acc.Describe(&s); s.Events == before {
			return before
		}
	}
}

// events reads those of the ledger from a place on.
func (h *home) events(ctx context.Context, from int64) (all []canon.Event, err error) {
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
