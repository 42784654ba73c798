package service

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// step is one file to write or one command to run.
type step struct {
	Path string `json:"path,omitempty"` // "~/" is the user's home
	Text string `json:"text,omitempty"`
	Run  string `json:"run,omitempty"`

	argv  []string // Run, word by word
	makes string   // the user that Run makes; where it exists, Run is left out
	start bool     // Run speaks to the service manager
	may   bool     // Run may fail: what it undoes need not be there
}

func run(argv ...string) step {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = a // a flag, or a path from the user's home, is ours and plain
		if !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "~/") {
			words[i] = atomicfile.Quote(a)
		}
	}
	return step{Run: strings.Join(words, " "), argv: argv}
}

// manager is run, of the service manager's own program.
func manager(argv ...string) step {
	s := run(argv...)
	s.start = true
	return s
}

func (s step) optional() step {
	s.may = true
	return s
}

// plan is how thumbturnd becomes a service for the human with a uid; chip tells that
// the machine has a TPM.
func plan(os, daemon string, system bool, uid int, chip bool) ([]step, error) {
	switch {
	case os == "linux" && system:
		return linuxSystem(daemon, uid, chip), nil
	case os == "linux":
		return linuxUser(daemon), nil
	case os == "darwin" && !system:
		return darwinUser(daemon, uid), nil
	}
	return nil, unplanned(os, system)
}

// undo is how it stops being one. Vaults, and the user they belong to, stay.
func undo(os string, system bool, uid int) ([]step, error) {
	switch {
	case os == "linux" && system:
		unit := "thumbturnd@" + strconv.Itoa(uid)
		return []step{
			manager("systemctl", "disable", "--now", unit+".socket"),
			manager("systemctl", "stop", unit+".service"),
			run("rm", "-rf", "/run/thumbturn/"+strconv.Itoa(uid)),
		}, nil
	case os == "linux":
		return []step{
			manager("systemctl", "--user", "disable", "--now", "thumbturn.socket").optional(),
			manager("systemctl", "--user", "stop", "thumbturn.service").optional(),
			run("rm", "-f", userUnits+"thumbturn.socket", userUnits+"thumbturn.service"),
			manager("systemctl", "--user", "daemon-reload"),
		}, nil
	case os == "darwin" && !system:
		return []step{
			manager("launchctl", "bootout", fmt.Sprintf("gui/%d/%s", uid, label)).optional(),
			run("rm", "-f", agentPath),
		}, nil
	}
	return nil, unplanned(os, system)
}

// unplanned: launchd passes sockets by a call that only C can make, and macOS
// does not show whose child a process is.
func unplanned(os string, system bool) error {
	if os == "darwin" && system {
		return fault.New(fault.Unavailable, "service", "", "system mode needs Linux")
	}
	return fault.New(fault.Unavailable, "service", "", "there is no service plan for "+os+" yet")
}

const (
	userUnits   = "~/.config/systemd/user/"
	systemUnits = "/etc/systemd/system/"
	agentPath   = "~/Library/LaunchAgents/" + label + ".plist"
	label       = "com.thumbturn.thumbturnd"
	// installed is where root alone can change the daemon.
	installed = "/usr/local/libexec/thumbturnd"
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
		{Path: userUnits + "thumbturn.socket", Text: `[Unit]
Description=Thumbturn socket

[Socket]
ListenStream=%t/thumbturn/thumbturn.sock
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
`},
		{Path: userUnits + "thumbturn.service", Text: fmt.Sprintf(`[Unit]
Description=Thumbturn daemon
Requires=thumbturn.socket

[Service]
ExecStart=%s
%s`, unitPath(daemon), hardening)},
		manager("systemctl", "--user", "daemon-reload"),
		manager("systemctl", "--user", "enable", "--now", "thumbturn.socket"),
	}
}

// systemSocket belongs to the human; the folder above it to root, since a
// RuntimeDirectory of the service would take the socket with it.
const systemSocket = `[Unit]
Description=Thumbturn socket of user %i

[Socket]
ListenStream=/run/thumbturn/%i/thumbturn.sock
SocketMode=0600
SocketUser=%i
DirectoryMode=0755

[Install]
WantedBy=sockets.target
`

// systemService has two capabilities, both to read in /proc who asks: the first
// for the links of another user's process, the second for its environment. What
// else they would open is refused here and by the daemon itself.
const systemService = `[Unit]
Description=Thumbturn daemon of user %i
Requires=thumbturnd@%i.socket

[Service]
ExecStart=` + installed + `
User=thumbturn-%i
Environment=THUMBTURN_HUMAN=%i THUMBTURN_HOME=/var/lib/thumbturn/%i
StateDirectory=thumbturn/%i
StateDirectoryMode=0700
RuntimeDirectory=thumbturn/%i/device
RuntimeDirectoryMode=0755
AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
SystemCallFilter=~ptrace process_vm_readv process_vm_writev pidfd_getfd open_by_handle_at
SystemCallErrorNumber=EPERM
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
` + hardening

// systemChip lets the daemon use the TPM, and no other device but those that hold
// nothing, as PrivateDevices does without it. Its own file, since a group that is not
// there would keep the service from starting.
const systemChip = `[Service]
SupplementaryGroups=` + chipGroup + `
PrivateDevices=no
DevicePolicy=closed
DeviceAllow=` + chipDevice + ` rw
`

const (
	chipDevice = "/dev/tpmrm0"
	chipGroup  = "tss" // may use the TPM, on most systems
)

func linuxSystem(daemon string, uid int, chip bool) []step {
	id := strconv.Itoa(uid)
	user := run("useradd", "--system", "--home-dir", "/var/lib/thumbturn/"+id, "--no-create-home", "--shell", "/usr/sbin/nologin", "thumbturn-"+id)
	user.makes = "thumbturn-" + id
	steps := []step{
		run("install", "-D", "-o", "root", "-g", "root", "-m", "0755", daemon, installed),
		user,
		{Path: systemUnits + "thumbturnd@.socket", Text: systemSocket},
		{Path: systemUnits + "thumbturnd@.service", Text: systemService},
	}
	if chip {
		steps = append(steps, step{Path: systemUnits + "thumbturnd@.service.d/tpm.conf", Text: systemChip})
	}
	return append(steps,
		manager("systemctl", "daemon-reload"),
		manager("systemctl", "enable", "--now", "thumbturnd@"+id+".socket"))
}

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>` + label + `</string>
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

func darwinUser(daemon string, uid int) []step {
	return []step{
		{Path: agentPath, Text: plistHead + plistProgram(daemon) + plistTail},
		manager("launchctl", "bootout", fmt.Sprintf("gui/%d/%s", uid, label)).optional(), // one that is loaded is not replaced
		manager("launchctl", "bootstrap", fmt.Sprintf("gui/%d", uid), agentPath),
	}
}
