package grant

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/ref"
)

// Use is a release as a grant is held against it.
type Use struct {
	Action   string
	Place    canon.Place
	Subjects []canon.Subject
}

// covers reports whether terms are for exactly this use by this user: every
// reference among theirs, and program, hashes, arguments and directory equal.
// What is missing on either side equals nothing.
func covers(t canon.GrantTerms, uid int, u Use) bool {
	p := u.Place
	switch {
	case t.V != 1 || t.Revisions != canon.RevisionsFollow || t.Grade != canon.GradeHold:
		return false
	case u.Action != "hold" || p.Sink != "handoff" || p.Grade != t.Grade || uid < 0 || uid != t.UID:
		return false
	case t.Program == "" || t.Hash == "" || t.Dir == "" || (t.Interpreter == "") != (t.IntHash == ""):
		return false
	case p.Program != t.Program || p.Dir != t.Dir || p.Argv != t.Argv:
		return false
	case p.Image == nil || p.Image.Hash != t.Hash || p.Image.Interpreter != t.Interpreter || p.Image.IntHash != t.IntHash:
		return false
	}
	for _, s := range u.Subjects {
		if f, ok := fieldOf(s); !ok || s.Tier != canon.TierStandard || !slices.Contains(t.Fields, f) {
			return false
		}
	}
	return len(u.Subjects) > 0
}

// fieldOf is what a subject asks for: the field, by its ids, and the parameter of
// the reference as the request has it.
func fieldOf(s canon.Subject) (canon.GrantField, bool) {
	r, err := ref.Parse(s.Ref)
	return canon.GrantField{Vault: s.Vault, Item: s.Item, Field: s.Field, Form: string(r.Query)}, err == nil
}

// agrees reports whether what the daemon itself sees of the caller fits what it
// reports. The child does not run yet, so nobody here can look at it: program,
// hash and directory are the word of the process that asks. That this process is
// thumbturn, told to run these arguments, can be seen; our own client hides its
// executable and its directory from its own user, so that the name counts only
// where it can be read. A task's command does not stand in the arguments, its
// name does. All of it can be imitated (spec/threats.md).
func agrees(e identity.Evidence, argv canon.Hash, task string) bool {
	exe := e.Asker.Exe
	if exe.Path != "" && exe.State != "unreadable" && !own(exe.Path) || len(e.Asker.Argv) == 0 || !own(e.Asker.Argv[0]) {
		return false
	}
	for i, a := range e.Asker.Argv {
		if a == "--" && canon.ArgvDigest(e.Asker.Argv[i+1:]) == argv {
			return true
		}
	}
	return task != "" && runsTask(e.Asker.Argv[1:], task)
}

// runsTask reports whether arguments are those of `thumbturn run --task NAME`,
// and of no command line of its own.
func runsTask(args []string, task string) bool {
	if !slices.Contains(args, "run") || slices.Contains(args, "--") {
		return false
	}
	i := slices.Index(args, "--task")
	return slices.Contains(args, "--task="+task) || i >= 0 && i+1 < len(args) && args[i+1] == task
}

func own(path string) bool {
	return strings.TrimSuffix(filepath.Base(strings.TrimSuffix(path, " (deleted)")), ".exe") == "thumbturn"
}
