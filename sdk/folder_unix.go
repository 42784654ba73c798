//go:build unix

package sdk

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/thumbturn/thumbturn/api"
)

// folder is what the folder of the socket tells about who may serve it.
type folder struct {
	owner, me int
	rooted    bool // all folders above belong to root, who alone can write them
	system    bool // it must not be ours: programs of ours could put a socket there
}

// checkFolder refuses a folder in which somebody else could put a socket; in
// system mode somebody else is also whoever runs as we do.
func checkFolder(path string, system bool) (folder, error) {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, absent()
	}
	refuse := func(msg string) (folder, error) {
		return folder{}, &api.Error{Kind: kindTampered, Op: "connect", Ref: path, Msg: msg}
	}
	if err != nil || !fi.IsDir() {
		return refuse("the socket's place is not a folder")
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return refuse("the socket's folder can be written by others")
	}
	f := folder{owner: ownerOf(fi), me: os.Geteuid(), system: system}
	if system {
		if f.rooted = rooted(filepath.Dir(path)); !f.rooted || f.owner == f.me {
			return refuse("the socket's folder is not a service's below folders of root")
		}
		return f, nil
	}
	if f.owner != f.me && f.owner != 0 {
		if f.rooted = rooted(filepath.Dir(path)); !f.rooted {
			return refuse("the socket's folder belongs to another user")
		}
	}
	return f, nil
}

// open opens the socket.
func open(ctx context.Context, socket string) (net.Conn, error) {
	name, done, err := socketName(socket)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", name)
}

// rooted reports whether path and all above it can be changed by root alone.
func rooted(path string) bool {
	for {
		fi, err := os.Lstat(path)
		if err != nil || !fi.IsDir() || ownerOf(fi) != 0 || fi.Mode().Perm()&0o022 != 0 {
			return false
		}
		up := filepath.Dir(path)
		if up == path {
			return true
		}
		path = up
	}
}

// published reports whether a file of a service's folder is the service's or
// root's, and neither it nor the folder can be written by anybody else.
func published(dir string, f *os.File) bool {
	d, err := checkFolder(dir, true)
	fi, serr := f.Stat()
	if err != nil || serr != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o022 != 0 {
		return false
	}
	owner := ownerOf(fi)
	return owner == d.owner || owner == 0
}

// FindHome resolves the home that programs speak to: the one in THUMBTURN_HOME;
// else that of the service which root set up for our user; else the XDG places.
// There is no way back from a service that does not answer to a daemon of our
// own: that would be another vault, guarded less.
func FindHome(getenv func(string) string) (api.Home, error) {
	h, err := api.FindHome(getenv)
	if err != nil || h.Custom {
		return h, err
	}
	system := api.SystemHome(os.Geteuid())
	if _, err := os.Lstat(system.Run); errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	system.Config = h.Config
	return system, nil
}

func ownerOf(fi fs.FileInfo) int {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(st.Uid)
}

// allows refuses a server that is neither us, nor root (whose service manager
// listens on behalf of the daemon), nor the service that the folder was made
// for.
func (f folder) allows(uid int) error {
	if uid == f.me && !f.system || uid == 0 || uid == f.owner && f.rooted {
		return nil
	}
	return &api.Error{Kind: kindTampered, Op: "connect", Msg: "the socket is served by another user"}
}
