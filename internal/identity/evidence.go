package identity

import "github.com/thumbturn/thumbturn/internal/kernel"

// The words of package kernel that this one speaks.
type (
	// Source reads the kernel.
	Source = kernel.Source
	// Self describes the daemon.
	Self = kernel.Self
	// Peer is who connected.
	Peer = kernel.Peer
	// Pulse is a process at a moment.
	Pulse = kernel.Pulse
	// Process is the evidence about one process.
	Process = kernel.Process
	// Namespaces are where a process lives.
	Namespaces = kernel.Namespaces
	// Terminal is a process's controlling terminal.
	Terminal = kernel.Terminal
	// Exe is the file a process executes.
	Exe = kernel.Exe
)

// Kernel is the Source of this machine.
func Kernel() (Source, error) { return kernel.New() }

// Evidence is plain data in a fixed order. Argv, Cwd and Exe.Path come from
// the caller and may hold anything: mask known values and escape them before
// they are stored or shown.
type Evidence struct {
	Kind       Kind      `json:"kind"`
	Label      string    `json:"label"`
	Why        string    `json:"why"`
	UID        int       `json:"uid"`
	Root       Root      `json:"root"`
	Session    Session   `json:"session"`
	UnderAgent string    `json:"under_agent"`
	Complete   bool      `json:"complete"` // the ancestry was read to its end
	Asker      Process   `json:"asker"`
	Ancestors  []Process `json:"ancestors"` // parent first
}
