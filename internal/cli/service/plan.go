package service

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// hardening is common to both units of Linux (systemd.exec(5)).
const hardening = `NoNewPrivileges=yes
LimitCORE=0
LimitMEMLOCK=64M
MemoryDenyWriteExecute=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077
`

// unitPath quotes a path for ExecStart: systemd expands % and $ there.
func unitPath(p string) string {
	return strconv.Quote(strings.NewReplacer("%", "%%", "$", "$$").Replace(p))
}

func linuxUser(daemon string) []step {
	return []step{
		{Path: "~/.config/systemd/user/thumbturn.socket", Text: `[Unit]
Description=Thumbturn socket

[Socket]
ListenStream=%t/thumbturn/thumbturn.sock
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
`},
		{Path: "~/.config/systemd/user/thumbturn.service", Text: fmt.Sprintf(`[Unit]
Description=Thumbturn daemon
Requires=thumbturn.socket

[Service]
ExecStart=%s
%s`, unitPath(daemon), hardening)},
		{Run: "systemctl --user daemon-reload"},
		{Run: "systemctl --user enable --now thumbturn.socket"},
	}
}

func linuxSystem(daemon string) []step {
	return []step{
		{Run: "sudo install -o root -g root -m 0755 " + shellQuote(daemon) + " /usr/local/libexec/thumbturnd"},
		{Run: "sudo useradd --system --home-dir /var/lib/thumbturn --shell /usr/sbin/nologin thumbturn-$(id -u)"},
		{Path: "/etc/systemd/system/thumbturnd@.socket", Text: `[Unit]
Description=Thumbturn socket of user %i

[Socket]
ListenStream=/run/thumbturn/%i/thumbturn.sock
SocketMode=0600
SocketUser=%i
DirectoryMode=0755

[Install]
WantedBy=sockets.target
`},
		{Path: "/etc/systemd/system/thumbturnd@.service", Text: `[Unit]
Description=Thumbturn daemon of user %i
Requires=thumbturnd@%i.socket

[Service]
ExecStart=/usr/local/libexec/thumbturnd
User=thumbturn-%i
StateDirectory=thumbturn/%i
StateDirectoryMode=0700
AmbientCapabilities=CAP_SYS_PTRACE
CapabilityBoundingSet=CAP_SYS_PTRACE
SystemCallFilter=~ptrace process_vm_readv process_vm_writev
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
` + hardening},
		{Run: "sudo systemctl daemon-reload"},
		{Run: "sudo systemctl enable --now thumbturnd@$(id -u).socket"},
	}
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>com.thumbturn.thumbturnd</string>
`

const plistTail = `  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>Umask</key><integer>63</integer>
  <key>HardResourceLimits</key><dict><key>Core</key><integer>0</integer></dict>
</dict>
</plist>
`

func plistProgram(path string) string {
	var b strings.Builder
	b.WriteString("  <key>ProgramArguments</key><array><string>")
	xml.EscapeText(&b, []byte(path)) // a strings.Builder does not fail
	b.WriteString("</string></array>\n")
	return b.String()
}

func darwinUser(daemon string) []step {
	const path = "~/Library/LaunchAgents/com.thumbturn.thumbturnd.plist"
	return []step{
		{Path: path, Text: plistHead + plistProgram(daemon) + plistTail},
		{Run: "launchctl bootstrap gui/$(id -u) " + path},
	}
}

func darwinSystem(daemon string) []step {
	const path = "/Library/LaunchDaemons/com.thumbturn.thumbturnd.plist"
	return []step{
		{Run: "sudo install -o root -g wheel -m 0755 " + shellQuote(daemon) + " /usr/local/libexec/thumbturnd"},
		{Run: "sudo sysadminctl -addUser _thumbturn -roleAccount -UID 451 -home /var/thumbturn -shell /usr/bin/false"},
		{Path: path, Text: plistHead + plistProgram("/usr/local/libexec/thumbturnd") +
			"  <key>UserName</key><string>_thumbturn</string>\n" + plistTail},
		{Run: "sudo launchctl bootstrap system " + path},
	}
}
