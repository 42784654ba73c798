package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Home is where Thumbturn keeps things. Data and Config go into a backup; Run
// and Device do not.
type Home struct {
	Data   string // database
	Config string // policy drafts, configuration
	Run    string // socket and lock
	Device string // share, device keys, pinned head
	Custom bool   // it came from THUMBTURN_HOME
	System bool   // a service under a user of its own keeps it; see SystemHome
}

// SystemHome is what the human with this uid sees of a home in system mode: the
// socket, and in Device the public device key and nothing else. The rest belongs
// to the service. All folders above these two are root's.
func SystemHome(uid int) Home {
	dir := "/run/thumbturn/" + strconv.Itoa(uid)
	return Home{Run: dir, Device: dir + "/device", System: true}
}

// FindHome resolves the home from an environment: THUMBTURN_HOME with its four
// folders, else the XDG places (on other systems their usual counterparts).
func FindHome(getenv func(string) string) (Home, error) {
	if h := getenv("THUMBTURN_HOME"); h != "" {
		if !filepath.IsAbs(h) {
			return Home{}, errors.New("THUMBTURN_HOME must be an absolute path")
		}
		h = filepath.Clean(h)
		return Home{
			Data: filepath.Join(h, "data"), Config: filepath.Join(h, "config"),
			Run: filepath.Join(h, "run"), Device: filepath.Join(h, "device"), Custom: true,
		}, nil
	}
	user := getenv("HOME")
	if runtime.GOOS == "windows" {
		user = getenv("LOCALAPPDATA")
	}
	if user == "" {
		return Home{}, errors.New("neither THUMBTURN_HOME nor HOME is set")
	}
	dir := func(env, fallback string) string {
		if d := getenv(env); filepath.IsAbs(d) {
			return filepath.Join(d, "thumbturn")
		}
		return filepath.Join(user, filepath.FromSlash(fallback), "thumbturn")
	}
	state := dir("XDG_STATE_HOME", ".local/state")
	h := Home{
		Data:   dir("XDG_DATA_HOME", ".local/share"),
		Config: dir("XDG_CONFIG_HOME", ".config"),
		Run:    filepath.Join(state, "run"),
		Device: filepath.Join(state, "device"),
	}
	if d := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		h.Run = filepath.Join(d, "thumbturn")
	}
	return h, nil
}

// Folder is the outermost folder that is Thumbturn's own: THUMBTURN_HOME, or that
// of its state among the XDG places.
func (h Home) Folder() string { return filepath.Dir(h.Device) }

// Socket is the path of the daemon's socket; on Windows, the name of its pipe.
func (h Home) Socket() string {
	if runtime.GOOS == "windows" {
		return pipeName(h.Run)
	}
	return filepath.Join(h.Run, "thumbturn.sock")
}

// pipeName makes a name from the run folder, which is written in any case there.
func pipeName(run string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(run)))
	return `\\.\pipe\thumbturn-` + hex.EncodeToString(sum[:16])
}
