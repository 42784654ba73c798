package request

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/sdk"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

func TestChanges(t *testing.T) {
	list := func(text string) (out []api.Pending) { // "id:state", the newest first
		for w := range strings.FieldsSeq(text) {
			id, state, _ := strings.Cut(w, ":")
			out = append(out, api.Pending{ID: id, State: state})
		}
		return out
	}
	for _, all := range []bool{false, true} {
		first := ""
		if all {
			first = "a:used "
		}
		var known map[string]api.Pending
		for _, step := range []struct{ list, want string }{
			{"m:muted l:leased b:pending a:used", first + "b:pending l:leased m:muted"},
			{"m:muted l:leased b:pending a:used", ""},
			{"m:muted l:leased c:pending b:approved a:used", "b:approved c:pending"},
			{"l:leased c:expired b:used m:denied", "m:ended b:used c:expired"},
			{"d:used c:leased b:used l:used", "l:ended c:leased d:used"},
			{"", "c:ended"},
			{"e:pending", "e:pending"},
		} {
			var news []api.Pending
			news, known = changes(known, list(step.list), all)
			var got []string
			for _, p := range news {
				got = append(got, p.ID+":"+p.State)
			}
			if diff := cmp.Diff(step.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("all %v, %s: %s", all, step.list, diff)
			}
		}
	}
}

// A watch tells what changes, as lines of JSON too, and ends well when it is
// told to.
func TestWatch(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		ctx, cancel := context.WithCancel(context.Background())
		looks := 0
		s := sdktest.Start(t, func(c sdktest.Call) []sdktest.Message {
			list := []api.Pending{{ID: "r1", State: "pending", Action: "hold\x1b", Caller: "agent"}}
			switch looks++; looks {
			case 2:
				list[0].State = "denied"
			case 3:
				cancel()
			}
			return []sdktest.Message{{Body: list}}
		})
		var out bytes.Buffer
		o := Options{Every: time.Millisecond, Console: &console.Console{Out: &out, Format: format,
			Dial: func(ctx context.Context) (*sdk.Client, error) { return sdk.Dial(ctx, s.Home, sdk.Options{}) }}}
		if err := Watch(ctx, o); err != nil {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) < 2 || !strings.Contains(lines[0], "pending") || !strings.Contains(lines[1], "denied") || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: %q", format, lines)
		}
		if format == "json" && !json.Valid([]byte(lines[0])) {
			t.Errorf("%q", lines[0])
		}
	}
}

func TestFound(t *testing.T) {
	p := api.Pending{ID: "5k3d", State: "pending", Action: "hold", Caller: "agent", Label: "claude", Refs: []string{"op://dev/Stripe/credential"}}
	for text, want := range map[string]bool{"": true, "stripe": true, "CLAUDE": true, "5k3d": true, "pend": true, "github": false} {
		if found(p, text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
