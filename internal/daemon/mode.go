package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// humanName is how the unit of a system service, which root alone can write,
// names the one human that the daemon serves.
const humanName = "THUMBTURN_HUMAN"

// mode says whom this process serves. The zero mode is user mode: its own user.
type mode struct {
	system bool
	human  int // uid; in system mode only
}

// findMode reads the mode from an environment. passed says that a listening
// socket came with it. What is set up by half is an error, and never user mode:
// that one promises less.
func findMode(getenv func(string) string, euid int, passed bool) (mode, error) {
	text := getenv(humanName)
	if text == "" {
		return mode{}, nil
	}
	refuse := func(msg string) (mode, error) {
		return mode{}, fault.New(fault.Usage, "start", humanName, msg).WithHint("see: thumbturn service install --system --plan")
	}
	uid, err := strconv.ParseUint(text, 10, 31)
	switch {
	case err != nil || strconv.FormatUint(uid, 10) != text:
		return refuse("is not the number of a user")
	case uid == 0:
		return refuse("is root, from whom nothing can be kept")
	case euid <= 0:
		return refuse("is set, but the daemon has no user of its own: it runs as root")
	case int(uid) == euid:
		return refuse("is the daemon's own user; system mode takes another")
	case !passed:
		return refuse("is set, but no listening socket was passed")
	case getenv("THUMBTURN_HOME") == "":
		return refuse("is set, but THUMBTURN_HOME, the service's own home, is not")
	}
	return mode{system: true, human: int(uid)}, nil
}

// socketAmong reports whether a process image was given a listening socket.
func socketAmong(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "listen=") })
}

func (m mode) String() string {
	if m.system {
		return "system"
	}
	return "user"
}

func (m mode) options(test bool) identity.Options {
	return identity.Options{System: m.system, Human: m.human, TestHome: test}
}

// publish lets the human's programs read the public device key, by which they
// know the daemon. Everything else of the home stays the service's.
func (p *process) publish() error {
	if !p.mode.system {
		return nil
	}
	const name = "device.pub"
	b, err := os.ReadFile(filepath.Join(p.home.Device, name))
	if err != nil {
		return fault.Wrap(fault.Unavailable, "publish", name, err)
	}
	path := filepath.Join(api.SystemHome(p.mode.human).Device, name)
	if err := atomicfile.Write(path, b, 0o644); err != nil {
		return fault.Wrap(fault.Unavailable, "publish", path, err).
			WithHint("its folder is the unit's RuntimeDirectory; see: thumbturn service install --system --plan")
	}
	return nil
}

// unseen warns when the evidence about other users' processes cannot be read:
// then the first process cannot either.
func unseen(src identity.Source) string {
	first, err := src.Process(1)
	for _, what := range []string{"exe", "environ", "ns"} {
		if err != nil || slices.Contains(first.Unreadable, what) {
			return "who asks cannot be told: everybody counts as an agent (the unit lacks CAP_SYS_PTRACE or CAP_DAC_READ_SEARCH)"
		}
	}
	return ""
}
