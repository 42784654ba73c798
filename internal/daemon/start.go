package daemon

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/thumbturn/thumbturn/internal/identity"
)

// cleanMark tells a cleaned process image from one that still carries its
// starter's surroundings.
const cleanMark = "--serve"

// kept are the environment names that survive the clean start: where the home
// is and whom a service serves, nothing else. A starter's SSL_CERT_FILE, proxies, GODEBUG, PATH, BROWSER
// and the like do not reach the daemon.
var kept = []string{"THUMBTURN_HOME", humanName, "HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "LOCALAPPDATA", "SystemRoot"}

// cleanEnviron is the constant environment of the daemon.
func cleanEnviron(getenv func(string) string) []string {
	env := []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	for _, k := range kept {
		if v := getenv(k); v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// starter is who started the daemon, as far as can be seen.
type starter struct {
	program string
	pid     int
	agent   string // a known agent among the ancestors
	again   bool   // this process itself, which replaced its image
}

// String names the starter.
func (s starter) String() string {
	if s.again {
		return "itself, as it does at each lock"
	}
	if s.program == "" && s.pid == 1 {
		return "the first process (pid 1)" // a service manager, or whoever takes in orphans
	}
	if s.program == "" {
		return "an unknown program"
	}
	out := s.program + " (pid " + strconv.Itoa(s.pid) + ")"
	if s.agent != "" {
		out += " under " + s.agent
	}
	return out
}

// whoStarted looks at the process that started this one; it is alive, since it
// waits for the socket, or is a service manager. A fresh image of a process that
// ran before has a parent that says nothing: whoever started that one is gone.
func whoStarted(r *identity.Registry, again bool) starter {
	pid := os.Getppid()
	s := starter{pid: pid, again: again}
	s.program, s.agent = r.Starter(pid)
	return s
}

// draft says "differs" when the policy file is not what was applied.
func (p *process) draft() string {
	b, err := os.ReadFile(filepath.Join(p.home.Config, "policy.cedar"))
	if err != nil {
		return ""
	}
	if p.account != nil && !p.account.PolicyIs(string(b)) {
		return "differs"
	}
	return ""
}
