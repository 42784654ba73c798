package daemon

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
)

func environ(kv ...string) func(string) string {
	return func(name string) string {
		for _, e := range kv {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func TestFindMode(t *testing.T) {
	const home = "THUMBTURN_HOME=/var/lib/thumbturn/1000"
	tests := []struct {
		name   string
		env    []string
		euid   int
		passed bool
		want   mode
		bad    bool
	}{
		{"user", []string{home}, 1000, false, mode{}, false},
		{"user, by a socket of the user's service manager", nil, 1000, true, mode{}, false},
		{"system", []string{"THUMBTURN_HUMAN=1000", home}, 990, true, mode{true, 1000}, false},
		{"no socket", []string{"THUMBTURN_HUMAN=1000", home}, 990, false, mode{}, true},
		{"no home", []string{"THUMBTURN_HUMAN=1000"}, 990, true, mode{}, true},
		{"own user", []string{"THUMBTURN_HUMAN=990", home}, 990, true, mode{}, true},
		{"as root", []string{"THUMBTURN_HUMAN=1000", home}, 0, true, mode{}, true},
		{"no uids on this system", []string{"THUMBTURN_HUMAN=1000", home}, -1, true, mode{}, true},
		{"for root", []string{"THUMBTURN_HUMAN=0", home}, 990, true, mode{}, true},
	}
	for _, bad := range []string{"a", "+1000", "01000", " 1000", "1000\n", "-1", "1000.0", "2147483648", "4294967295", "0x10"} {
		tests = append(tests, struct {
			name   string
			env    []string
			euid   int
			passed bool
			want   mode
			bad    bool
		}{"number " + bad, []string{"THUMBTURN_HUMAN=" + bad, home}, 990, true, mode{}, true})
	}
	for _, tt := range tests {
		got, err := findMode(environ(tt.env...), tt.euid, tt.passed)
		if got != tt.want || (fault.KindOf(err) == fault.Usage) != tt.bad || (err != nil) != tt.bad {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// The human's number outlives the clean start, and every start after a lock.
func TestHumanIsKept(t *testing.T) {
	env := cleanEnviron(environ("THUMBTURN_HUMAN=1000", "THUMBTURN_HOME=/h", "LISTEN_FDS=1", "EVIL=1"))
	got, err := findMode(environ(env...), 990, socketAmong([]string{"lock=3", "listen=4"}))
	if err != nil || got != (mode{true, 1000}) || strings.Contains(strings.Join(env, " "), "EVIL") {
		t.Errorf("%+v %v from %q", got, err, env)
	}
	if socketAmong([]string{"lock=3"}) || socketAmong(nil) {
		t.Error("a socket that was not passed is seen")
	}
}

func TestModeOptions(t *testing.T) {
	if got := (mode{}).options(true); got.System || got.Human != 0 || !got.TestHome {
		t.Errorf("%+v", got)
	}
	if got := (mode{true, 1000}).options(false); !got.System || got.Human != 1000 || got.TestHome {
		t.Errorf("%+v", got)
	}
}

func TestPublishWithoutPlace(t *testing.T) {
	p := &process{home: api.Home{Device: t.TempDir()}, mode: mode{true, 2147483647}}
	if err := p.publish(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without a key: %v", err)
	}
	if err := (&process{home: api.Home{Device: filepath.Join(t.TempDir(), "none")}}).publish(); err != nil {
		t.Errorf("in user mode: %v", err)
	}
}

// source shows one first process.
type source struct {
	identity.Source
	first identity.Process
	err   error
}

func (s source) Process(int) (identity.Process, error) { return s.first, s.err }

func TestUnseen(t *testing.T) {
	for _, what := range []string{"exe", "environ", "ns"} {
		if unseen(source{first: identity.Process{Unreadable: []string{"cwd", what}}}) == "" {
			t.Errorf("no word of unreadable %s", what)
		}
	}
	if unseen(source{err: errors.New("no")}) == "" {
		t.Error("no word of a first process that is not there")
	}
	if got := unseen(source{first: identity.Process{Unreadable: []string{"cwd"}}}); got != "" {
		t.Error(got)
	}
}
