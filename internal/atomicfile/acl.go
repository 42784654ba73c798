package atomicfile

import (
	"errors"
	"strings"
)

var errACL = errors.New("its access list is of a form not known here")

// trustees reads a security descriptor in its text form (SDDL): the owner, and
// whom the access list allows anything. What it does not know whole is an error,
// and so is a descriptor without a list, which lets in everybody.
func trustees(sddl string) (owner string, allowed []string, err error) {
	rest, ok := strings.CutPrefix(sddl, "O:")
	if !ok {
		return "", nil, errACL
	}
	at := strings.Index(rest, "D:")
	if at < 0 {
		return "", nil, errACL
	}
	owner, _, _ = strings.Cut(rest[:at], "G:")
	flags, list, ok := strings.Cut(rest[at+len("D:"):], "(")
	if strings.Trim(flags, "PAIR") != "" || owner == "" {
		return "", nil, errACL // NO_ACCESS_CONTROL among them
	}
	for ok {
		entry, after, closed := strings.Cut(list, ")")
		fields := strings.Split(entry, ";")
		if !closed || len(fields) != 6 || fields[5] == "" {
			return "", nil, errACL
		}
		switch fields[0] {
		case "A":
			allowed = append(allowed, fields[5])
		case "D":
		default:
			return "", nil, errACL
		}
		if after != "" && after[0] != '(' {
			return "", nil, errACL
		}
		list, ok = strings.CutPrefix(after, "(")
	}
	return owner, allowed, nil
}
