package sdk

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/windows"

	"github.com/thumbturn/thumbturn/api"
)

// pipe is a named pipe as a connection. The file drives reading and writing,
// with deadlines; its Fd would take that from it, so the handle stands beside it.
type pipe struct {
	*os.File
	h windows.Handle
}

func (pipe) LocalAddr() net.Addr    { return pipeAddr{} }
func (p pipe) RemoteAddr() net.Addr { return pipeAddr{p.Name()} }

type pipeAddr struct{ name string }

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return a.name }

// open opens the pipe, and waits while all its instances are taken. Whoever
// serves it may not act in our name (SECURITY_ANONYMOUS).
func open(ctx context.Context, name string) (net.Conn, error) {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	for {
		h, err := windows.CreateFile(wide, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
		if err == nil {
			return pipe{os.NewFile(uintptr(h), name), h}, nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// What Server.UID says here, where users have no numbers.
const (
	ourselves = iota
	somebodyElse
)

// server tells which process serves the pipe, and whether it is our own user's.
func server(conn net.Conn) (Server, error) {
	p, ok := conn.(pipe)
	if !ok {
		return Server{}, errors.New("not a pipe")
	}
	var pid uint32
	if err := windows.GetNamedPipeServerProcessId(p.h, &pid); err != nil {
		return Server{}, err
	}
	who := Server{PID: int(pid), UID: somebodyElse}
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return who, err
	}
	defer windows.CloseHandle(h)
	var token windows.Token
	if err := windows.OpenProcessToken(h, windows.TOKEN_QUERY, &token); err != nil {
		return who, err
	}
	defer token.Close()
	theirs, err := token.GetTokenUser()
	if err != nil {
		return who, err
	}
	ours, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return who, err
	}
	if ours.User.Sid.Equals(theirs.User.Sid) {
		who.UID = ourselves
	}
	return who, nil
}

// folder says nothing here: a pipe stands in no folder, and who serves it is
// known by its process.
type folder struct{}

func checkFolder(run string, _ bool) (folder, error) {
	if _, err := os.Stat(run); errors.Is(err, fs.ErrNotExist) {
		return folder{}, absent()
	}
	return folder{}, nil
}

func (folder) allows(uid int) error {
	if uid == ourselves {
		return nil
	}
	return &api.Error{Kind: kindTampered, Op: "connect", Msg: "the pipe is served by another user"}
}

func published(string, *os.File) bool { return false }

// FindHome resolves the home that programs speak to.
func FindHome(getenv func(string) string) (api.Home, error) { return api.FindHome(getenv) }
