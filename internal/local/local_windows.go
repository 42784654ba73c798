package local

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

const (
	// attributesSize is the size of windows.SecurityAttributes on the 64-bit
	// systems that we build for.
	attributesSize = 24
	bufferSize     = 64 << 10
	// pollGone is how often Gone looks.
	pollGone = 100 * time.Millisecond
)

// Listener is a named pipe that our own user alone may open, from this machine.
type Listener struct {
	name  *uint16
	attrs windows.SecurityAttributes
	quiet windows.Handle // an event, set once no more are accepted

	mu   sync.Mutex     // held by Accept
	next windows.Handle // the instance that waits for a client
	end  sync.Once
}

// Listen makes the pipe. It fails if there is one of that name: whoever made it
// could be taken for us.
func Listen(name string) (*Listener, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	sid := user.User.Sid.String()
	// Protected from inheritance; network logons denied; all to the user alone.
	sd, err := windows.SecurityDescriptorFromString("O:" + sid + "D:P(D;;GA;;;NU)(A;;GA;;;" + sid + ")")
	if err != nil {
		return nil, err
	}
	l := &Listener{attrs: windows.SecurityAttributes{Length: attributesSize, SecurityDescriptor: sd}}
	if l.name, err = windows.UTF16PtrFromString(name); err != nil {
		return nil, err
	}
	if l.quiet, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return nil, err
	}
	if l.next, err = l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE); err != nil {
		_ = windows.CloseHandle(l.quiet)
		return nil, err
	}
	return l, nil
}

func (l *Listener) instance(flag uint32) (windows.Handle, error) {
	return windows.CreateNamedPipe(l.name, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|flag,
		windows.PIPE_TYPE_BYTE|windows.PIPE_READMODE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS,
		windows.PIPE_UNLIMITED_INSTANCES, bufferSize, bufferSize, 0, &l.attrs)
}

// Accept waits for a connection. Before it returns one there is an instance for
// the next client, so that the name never goes to somebody else.
func Accept(l *Listener) (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.next == 0 {
			return nil, net.ErrClosed
		}
		err := l.connected(l.next)
		if errors.Is(err, windows.ERROR_NO_DATA) { // it came and went
			if err := windows.DisconnectNamedPipe(l.next); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		h := l.next
		if l.next, err = l.instance(0); err != nil {
			l.next = 0
			_ = windows.CloseHandle(h)
			return nil, err
		}
		return &Conn{h: h, f: os.NewFile(uintptr(h), "pipe")}, nil
	}
}

// connected waits for a client of the instance h, or for Quiet.
func (l *Listener) connected(h windows.Handle) error {
	came, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(came)
	o := &windows.Overlapped{HEvent: came}
	err = windows.ConnectNamedPipe(h, o)
	switch {
	case errors.Is(err, windows.ERROR_PIPE_CONNECTED):
		return nil
	case err != nil && !errors.Is(err, windows.ERROR_IO_PENDING):
		return err
	}
	var n uint32
	// Quiet first: where both are set, the client waits for who comes after us.
	at, err := windows.WaitForMultipleObjects([]windows.Handle{l.quiet, came}, false, windows.INFINITE)
	if err != nil || at == windows.WAIT_OBJECT_0 {
		_ = windows.CancelIoEx(h, o)
		_ = windows.GetOverlappedResult(h, o, &n, true) // until it is done, o belongs to the kernel
		return errors.Join(err, os.ErrDeadlineExceeded)
	}
	return windows.GetOverlappedResult(h, o, &n, false)
}

// Quiet stops accepting; Accept then fails with os.ErrDeadlineExceeded.
func Quiet(l *Listener) { _ = windows.SetEvent(l.quiet) }

// Close gives the name up. It waits for Accept, which Quiet ends.
func (l *Listener) Close() error {
	Quiet(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	l.end.Do(func() {
		if l.next != 0 {
			err = windows.CloseHandle(l.next)
		}
		l.next = 0
		err = errors.Join(err, windows.CloseHandle(l.quiet))
	})
	return err
}

// Conn is one connection. The file drives the reading and writing, with
// deadlines; its Fd would take that from it, so the handle stands beside it.
type Conn struct {
	h windows.Handle
	f *os.File

	mu    sync.Mutex
	until time.Time // read deadline
	shut  bool      // CloseRead was called
}

// ClientPID is the process that opened the pipe.
func (c *Conn) ClientPID() (int, error) {
	var pid uint32
	err := windows.GetNamedPipeClientProcessId(c.h, &pid)
	return int(pid), err
}

// Read reads what the peer sent.
func (c *Conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	shut := c.shut
	c.mu.Unlock()
	if shut {
		return 0, io.EOF
	}
	return c.f.Read(b)
}

// Write writes to the peer.
func (c *Conn) Write(b []byte) (int, error) { return c.f.Write(b) }

// Close ends the connection. What was written can still be read by the peer.
func (c *Conn) Close() error { return c.f.Close() }

// SetDeadline bounds reading and writing.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetWriteDeadline bounds writing.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.f.SetWriteDeadline(t) }

// SetReadDeadline bounds reading, and Gone; after CloseRead it changes nothing.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return nil
	}
	c.until = t
	return c.f.SetReadDeadline(t)
}

// CloseRead ends all reading, that of now and later.
func (c *Conn) CloseRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut, c.until = true, time.Now()
	return c.f.SetReadDeadline(c.until)
}

func (c *Conn) late() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.until.IsZero() && !time.Now().Before(c.until)
}

// Gone blocks until the peer has closed its end (true), or the read deadline
// passes (false). It takes no byte out of the stream.
func Gone(c *Conn) bool {
	peek := windows.NewLazySystemDLL("kernel32.dll").NewProc("PeekNamedPipe")
	for !c.late() {
		if ok, _, _ := peek.Call(uintptr(c.h), 0, 0, 0, 0, 0); ok == 0 {
			return true
		}
		time.Sleep(pollGone)
	}
	return false
}
