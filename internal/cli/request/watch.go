package request

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk"
)

// Watch prints what there is, and then each request, lease and mute whose state
// changed, until ctx ends. It asks once in o.Every: what comes and goes between
// two looks is told by its last state.
func Watch(ctx context.Context, o Options) error {
	return o.Console.Session(ctx, func(s *sdk.Client) error {
		tick := time.NewTicker(o.Every)
		defer tick.Stop()
		var known map[string]api.Pending
		for {
			now, err := s.Requests(ctx, api.RequestList{All: true})
			if ctx.Err() != nil {
				return nil // Ctrl-C is how it ends
			}
			if err != nil {
				return err
			}
			var news []api.Pending
			if news, known = changes(known, now, o.All); len(news) > 0 {
				if err := o.tell(news); err != nil {
					return err
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// tell prints one line each, of JSON where that is asked for.
func (o Options) tell(news []api.Pending) error {
	for _, p := range news {
		text := line(p)
		if o.Console.JSON() {
			b, err := json.Marshal(p)
			if err != nil {
				return err
			}
			text = string(b)
		}
		if _, err := fmt.Fprintln(o.Console.Out, text); err != nil {
			return err
		}
	}
	return nil
}

// changes is what is new since an earlier look, the oldest first. At the first
// look, before which nothing is known, only what is still going on is, unless all
// is wanted. A lease or a mute that is gone is told as ended.
func changes(before map[string]api.Pending, list []api.Pending, all bool) (news []api.Pending, now map[string]api.Pending) {
	now = map[string]api.Pending{}
	for i := len(list) - 1; i >= 0; i-- { // the newest come first
		p := list[i]
		old := before[p.ID]
		going := p.State == "pending" || lasting(p)
		now[p.ID] = p
		switch {
		case old.State == p.State, before == nil && !going && !all:
		case lasting(old) && !lasting(p):
			news = append(news, ended(old))
		default:
			news = append(news, p)
		}
	}
	for id, old := range before {
		if _, ok := now[id]; !ok && lasting(old) { // its request is not kept any more
			news = append(news, ended(old))
		}
	}
	return news, now
}

func lasting(p api.Pending) bool { return p.State == "leased" || p.State == "muted" }

func ended(p api.Pending) api.Pending {
	p.State, p.Left = "ended", 0
	return p
}
