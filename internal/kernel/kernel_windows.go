package kernel

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/thumbturn/thumbturn/internal/digest"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/local"
)

// kernel knows who connected, his user, and executable, start and parents of a
// process. This system has no terminal sessions that the daemon could see, and
// arguments, directory and environment of another process stand in its own
// memory, which we do not read: so everybody is an agent here, and nobody can
// unlock.
type kernel struct {
	self   Self
	me     *windows.SID
	hashes *digest.Cache[Exe]
}

// The numbers that stand for users, who have none here.
const (
	ourUser   = 0
	otherUser = 1
)

// New is the Source of this machine.
func New() (Source, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "identify", "", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "identify", "", err)
	}
	return kernel{Self{UID: ourUser, BootID: boot}, user.User.Sid, digest.NewCache[Exe]()}, nil
}

// bootID is the number of this boot, which the system counts.
func bootID() (string, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE,
		`SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`, registry.QUERY_VALUE)
	if err != nil {
		return "", err
	}
	defer k.Close()
	n, _, err := k.GetIntegerValue("BootId")
	return strconv.FormatUint(n, 10), err
}

func (k kernel) Self() Self { return k.self }

// Peer holds the process before it asks anything about it. Between the opening
// of the pipe and here its pid may have been recycled.
func (k kernel) Peer(conn *local.Conn) (Peer, error) {
	pid, err := conn.ClientPID()
	if err != nil {
		return Peer{}, err
	}
	h, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return Peer{}, err
	}
	p := Peer{PID: pid, UID: otherUser, Handle: &held{h: h}}
	if sid, err := userOf(h); err == nil && sid.Equals(k.me) {
		p.UID = ourUser
	}
	return p, nil
}

func userOf(process windows.Handle) (*windows.SID, error) {
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return nil, err
	}
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid.Copy()
}

// Process reads one process. Its parent may be named by a pid that belongs to
// somebody else by now, which is then younger than its child.
func (k kernel) Process(pid int) (Process, error) {
	h, now, err := k.open(pid)
	if err != nil {
		return Process{}, err
	}
	defer windows.CloseHandle(h)
	p := Process{PID: pid, PPID: now.PPID, Start: now.Start, UID: otherUser, GID: -1,
		Unreadable: []string{UnArgv, UnCwd, UnEnviron, UnNS, UnSession}}
	if sid, err := userOf(h); err != nil {
		p.Unreadable = append(p.Unreadable, UnStatus)
	} else {
		if p.NS.SID = sid.String(); sid.Equals(k.me) {
			p.UID = ourUser
		}
	}
	if p.Exe = exeAt(now.Image); p.Exe.State == StateUnreadable {
		p.Unreadable = append(p.Unreadable, UnExe)
	}
	p.Exe.Image = now.Image
	return p, nil
}

// Pulse is cheap but for the parent. The image is the path: a process keeps its
// executable for life here.
func (k kernel) Pulse(pid int) (Pulse, error) {
	h, now, err := k.open(pid)
	if err == nil {
		_ = windows.CloseHandle(h)
	}
	return now, err
}

func (k kernel) open(pid int) (windows.Handle, Pulse, error) {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return 0, Pulse{}, err
	}
	var now Pulse
	var began, ended, kernelTime, userTime windows.Filetime
	err = windows.GetProcessTimes(h, &began, &ended, &kernelTime, &userTime)
	if at, werr := windows.WaitForSingleObject(h, 0); err == nil && (werr != nil || at == windows.WAIT_OBJECT_0) {
		err = errors.New("kernel: the process has ended")
	}
	if err == nil {
		now.Start = uint64(began.Nanoseconds() / 1000)
		now.PPID, err = parentOf(pid)
	}
	if err != nil {
		_ = windows.CloseHandle(h)
		return 0, Pulse{}, err
	}
	name := make([]uint16, windows.MAX_LONG_PATH)
	n := uint32(len(name))
	if windows.QueryFullProcessImageName(h, 0, &name[0], &n) == nil {
		now.Image = windows.UTF16ToString(name[:n])
	}
	return h, now, nil
}

// entrySize is the size of windows.ProcessEntry32 on the 64-bit systems that we
// build for.
const entrySize = 568

// parentOf looks a process up among all that run. 0 is the parent of the first.
func parentOf(pid int) (int, error) {
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(all)
	e := windows.ProcessEntry32{Size: entrySize}
	for err = windows.Process32First(all, &e); err == nil; err = windows.Process32Next(all, &e) {
		if int(e.ProcessID) == pid {
			return int(e.ParentProcessID), nil
		}
	}
	return 0, err
}

// exeAt describes the file that stands now where the process was started from.
func exeAt(path string) Exe {
	name, err := windows.UTF16PtrFromString(path)
	if path == "" || err != nil {
		return Exe{State: StateUnreadable}
	}
	e := Exe{Path: filepath.ToSlash(path)}
	h, err := windows.CreateFile(name, windows.FILE_READ_ATTRIBUTES,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		e.State = StateUnreadable
		return e
	}
	defer windows.CloseHandle(h)
	var i windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(h, &i) != nil {
		e.State = StateUnreadable
		return e
	}
	e.Dev, e.Inode = uint64(i.VolumeSerialNumber), uint64(i.FileIndexHigh)<<32|uint64(i.FileIndexLow)
	e.Size, e.Mtime = int64(i.FileSizeHigh)<<32|int64(i.FileSizeLow), i.LastWriteTime.Nanoseconds()
	return e
}

// Digest hashes the file at the path, if it is still the one that exe describes.
func (k kernel) Digest(ctx context.Context, _ int, exe Exe) (string, error) {
	key := exe
	key.State, key.SHA256, key.Image = "", "", ""
	return digestAt(ctx, k.hashes, key, func() Exe { return exeAt(exe.Path) })
}

// held is a process by an open handle, which keeps its pid from being recycled.
type held struct {
	mu sync.Mutex
	h  windows.Handle // 0 once closed
}

func (h *held) Alive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h == 0 {
		return false
	}
	at, err := windows.WaitForSingleObject(h.h, 0)
	return err == nil && at == uint32(windows.WAIT_TIMEOUT)
}

func (h *held) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.h == 0 {
		return nil
	}
	err := windows.CloseHandle(h.h)
	h.h = 0
	return err
}
