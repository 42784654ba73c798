package kernel

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/thumbturn/thumbturn/internal/agent"
)

// procargs is what macOS shows of how a process was started. It lies in the
// process's own memory, which can write something else there.
type procargs struct {
	path    string
	argv    []string
	marks   []string // names of known agents' variables in the environment
	environ bool     // an environment was shown
}

// parseProcargs reads kern.procargs2: the number of arguments in four bytes,
// the path given to exec, zeros, the arguments, the environment, and strings of
// the system's own behind an empty one, each ended by a zero. For programs of
// the system the environment is left out.
func parseProcargs(text []byte) (procargs, bool) {
	var p procargs
	if len(text) < 4 {
		return p, false
	}
	argc := binary.LittleEndian.Uint32(text)
	path, rest, ok := bytes.Cut(text[4:], []byte{0})
	if !ok || len(path) == 0 || uint64(argc) > uint64(len(rest)) {
		return p, false
	}
	p.path = string(path)
	rest = bytes.TrimLeft(rest, "\x00")
	for range argc {
		var arg []byte
		if arg, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return procargs{}, false
		}
		p.argv = append(p.argv, string(arg))
	}
	for len(rest) > 0 && rest[0] != 0 {
		var entry []byte
		entry, rest, _ = bytes.Cut(rest, []byte{0})
		name, _, named := bytes.Cut(entry, []byte("="))
		if p.environ = p.environ || named; agent.Mark(string(name)) {
			p.marks = append(p.marks, string(name))
		}
	}
	slices.Sort(p.marks)
	p.marks = slices.Compact(p.marks)
	return p, true
}
