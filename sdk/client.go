// Package sdk is the Go client of the Thumbturn daemon: it asks for the use of
// secrets, and for values only where a policy lets the caller hold them.
//
// Before anything is sent, Dial makes sure of who answers: the folder of the
// socket (which is a named pipe of our own user's process on Windows) belongs to us, to root, or to a service below folders that only root
// can write; the serving process runs under that same identity; and it signs a
// fresh nonce with the device key. A caller wipes every value that it passes or
// receives; the package keeps none.
package sdk

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/thumbturn/thumbturn/api"
)

// The error kinds that this side of the socket gives itself; all others come
// from the daemon (spec/socket.md).
const (
	kindUsage       = "usage"
	kindUnavailable = "unavailable"
	kindProtocol    = "protocol"
	kindTampered    = "tampered"
)

const helloDomain = "thumbturn/hello/v1\x00"

// Options adjusts Dial. The zero value is what programs want.
type Options struct {
	// Timeout bounds connecting and the challenge, not later calls. Zero means
	// 10 seconds.
	Timeout time.Duration
	// Rand yields the nonce of the challenge. Nil means crypto/rand.
	Rand io.Reader
}

// Client is one connection. Its methods may be called by several goroutines and
// then wait for each other. After a cancelled or broken call it is of no
// further use.
type Client struct {
	// Waiting hears of requests that wait for a person, of calls that are given no
	// OnWaiting of their own. It may be nil, and is set before the first call.
	Waiting OnWaiting

	mu     sync.Mutex
	conn   net.Conn
	broken bool
	hello  api.HelloReply
}

// Dial connects to the daemon of a home and checks who it is. Every error is an
// *api.Error; a missing socket, or one where nobody listens, has the kind
// "unavailable".
func Dial(ctx context.Context, home api.Home, opts Options) (*Client, error) {
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	for {
		c, err := dial(ctx, home, opts)
		if !lost(err) || ctx.Err() != nil {
			return c, err
		}
		// The daemon replaces itself when it locks; nothing was asked of it yet.
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func dial(ctx context.Context, home api.Home, opts Options) (*Client, error) {
	conn, _, err := connect(ctx, home)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn}
	if err := c.greet(ctx, home, opts.Rand); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// connect opens the socket of a home where its folder and whoever serves it are
// to be trusted.
func connect(ctx context.Context, home api.Home) (net.Conn, Server, error) {
	fail := func(err error) (net.Conn, Server, error) { return nil, Server{}, err }
	socket := home.Socket()
	owner, err := checkFolder(home.Run, home.System)
	if err != nil {
		return fail(err)
	}
	conn, err := open(ctx, socket)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return fail(absent())
	}
	if err != nil {
		return fail(&api.Error{Kind: kindUnavailable, Op: "connect", Ref: socket, Msg: "the socket cannot be opened"})
	}
	who, err := server(conn)
	if err != nil {
		err = &api.Error{Kind: kindUnavailable, Op: "connect", Msg: "cannot tell who serves the socket: " + err.Error()}
	} else {
		err = owner.allows(who.UID)
	}
	if err != nil {
		conn.Close()
		return fail(err)
	}
	return conn, who, nil
}

// Server is the process that listens on a home's socket, as the kernel tells: of a
// socket that was passed on, the one that made it. PID is 0 where the system does
// not tell.
type Server struct{ PID, UID int }

// Serving tells who listens, whichever version of the protocol it speaks. Nothing
// is sent. It fails as Dial does.
func Serving(ctx context.Context, home api.Home) (Server, error) {
	conn, who, err := connect(ctx, home)
	if err != nil {
		return who, err
	}
	return who, conn.Close()
}

const notRunning = "thumbturnd is not running"

func absent() *api.Error {
	return &api.Error{Kind: kindUnavailable, Op: "connect", Msg: notRunning}
}

// NotRunning reports whether Dial failed because nobody serves the socket, and
// not because whoever serves it is slow, unreachable or not to be trusted.
func NotRunning(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Kind == kindUnavailable && e.Msg == notRunning
}

// Hello returns what the daemon said about itself when the connection began.
func (c *Client) Hello() api.HelloReply { return c.hello }

// Close ends the connection; a request that waits for a person on it is
// cancelled by the daemon.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) greet(ctx context.Context, home api.Home, random io.Reader) error {
	nonce := make([]byte, 32)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return &api.Error{Kind: kindUnavailable, Op: "connect", Msg: "no randomness"}
	}
	if err := c.call(ctx, api.OpHello, api.Hello{Nonce: nonce}, nil, reply{into: &c.hello}); err != nil {
		return err
	}
	if c.hello.Protocol != api.Version {
		return versionError()
	}
	// A daemon that a service manager starts for this very connection has
	// published its key by the time it answers, and not before.
	key, err := deviceKey(home)
	if err != nil {
		return err
	}
	return checkSignature(key, nonce, c.hello)
}

func versionError() *api.Error {
	return &api.Error{Kind: kindProtocol, Op: "connect", Msg: "thumbturn and thumbturnd are of different versions",
		Hint: "both must be of one release: end the daemon with `thumbturn daemon stop`, which closes its vaults, and try again"}
}

// OtherVersion reports whether Dial failed because the daemon is of another
// release.
func OtherVersion(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Kind == kindProtocol
}

// checkSignature refuses a daemon that cannot prove the device key. Only a home
// without a key may be served by one that proves nothing, and only as empty.
func checkSignature(key ed25519.PublicKey, nonce []byte, h api.HelloReply) error {
	if key == nil {
		if h.State == api.StateEmpty {
			return nil
		}
		return &api.Error{Kind: kindTampered, Op: "connect", Msg: "the home has no device key, yet its daemon claims an account"}
	}
	if !ed25519.Verify(key, append([]byte(helloDomain), nonce...), h.Signature) {
		return &api.Error{Kind: kindTampered, Op: "connect", Msg: "whoever serves the socket does not hold this device's key",
			Hint: "do not type a passphrase; find out which program listens on the socket"}
	}
	return nil
}

// deviceKey reads the public key of the home's device; nil when there is none
// yet. Unreadable is not absent.
func deviceKey(home api.Home) (ed25519.PublicKey, error) {
	fail := func(msg string) error {
		return &api.Error{Kind: kindTampered, Op: "connect", Msg: "device.pub: " + msg}
	}
	f, err := os.Open(filepath.Join(home.Device, "device.pub"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail("cannot be read")
	}
	defer f.Close()
	if home.System && !published(home.Device, f) {
		return nil, fail("somebody else than the service can write it")
	}
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fail("cannot be read")
	}
	return parseDeviceKey(b)
}

// parseDeviceKey takes the one field of device.pub that the client needs.
func parseDeviceKey(b []byte) (ed25519.PublicKey, error) {
	var pub struct {
		Key []byte `json:"device_key"`
	}
	if err := json.Unmarshal(b, &pub); err != nil || len(pub.Key) != ed25519.PublicKeySize {
		return nil, &api.Error{Kind: kindTampered, Op: "connect", Msg: "device.pub: holds no device key"}
	}
	return pub.Key, nil
}
