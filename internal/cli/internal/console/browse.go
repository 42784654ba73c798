package console

import (
	"context"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Display reports whether a browser can be opened here: there is a screen, and this
// is not a session on another computer.
func (c *Console) Display() bool {
	if c.Getenv("SSH_CONNECTION") != "" {
		return false
	}
	return runtime.GOOS == "darwin" || runtime.GOOS == "windows" || c.Getenv("DISPLAY") != "" || c.Getenv("WAYLAND_DISPLAY") != ""
}

// Browse opens a page of the daemon in the person's browser, or says where it is. The
// address lets its first visitor in and is good for two minutes: other programs of the
// same user can read it in the list of processes, and gain nothing by it that they
// could not do here.
func (c *Console) Browse(ctx context.Context, address, why string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return fault.New(fault.Protocol, "page", "", "the daemon gave no address of a page")
	}
	if err := loopback(ctx, u.Hostname()); err != nil {
		return err
	}
	if c.Display() {
		if err := c.open(ctx, address); err == nil {
			c.Say("a page opens in the browser %s: %s", why, canon.Escape(u.Scheme+"://"+u.Host+"/"))
			return nil
		}
	}
	c.Say("open this page in a browser on this computer %s, within two minutes:", why)
	c.Say("  %s", canon.Escape(address))
	if c.Getenv("SSH_CONNECTION") != "" {
		c.Say("hint: from the computer you sit at: ssh -L %s:127.0.0.1:%s to here, then open it there", u.Port(), u.Port())
	}
	return nil
}

// loopback refuses a name that resolves to anything but this computer. One that does
// not resolve here is left to the browser: browsers know names under localhost.
func loopback(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if !a.IP.IsLoopback() {
			return fault.New(fault.Denied, "page", host, "its name leads to another computer").WithHint("somebody changed /etc/hosts or the resolver: do not open it")
		}
	}
	return nil
}

func (c *Console) open(ctx context.Context, address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, path, args...).Run()
}
