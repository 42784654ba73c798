package lease

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/identity"
	"github.com/thumbturn/thumbturn/internal/project"
	"github.com/thumbturn/thumbturn/ref"
)

// How many approved files are kept, each of project.MaxSize at most; the oldest goes.
const (
	maxFiles = 64 // in all
	maxMine  = 8  // of one session
)

// File is a project's file as whoever asks sent it, and the task of it that is asked
// for. It grants nothing: it is shown, and what it says is held against the request.
type File struct {
	Path string
	Task string
	Text []byte
}

// approved is a file under which a person gave a session a lease.
type approved struct {
	owner string
	root  identity.Root
	path  string
	hash  canon.Hash
	text  []byte
}

// Project describes the file that a request comes with, nil without one. It refuses a
// request that is not what the file says. Where more changed since the last approval
// than is shown, it says that something did, and not what: May refuses that.
func (k *Keeper) Project(who identity.Caller, f *File, refs []ref.Ref, place canon.Place) (*canon.Project, error) {
	if f == nil {
		return nil, nil
	}
	if err := f.says(refs, place); err != nil {
		return nil, err
	}
	p := &canon.Project{File: f.Path, Task: f.Task, Hash: canon.ProjectDigest(f.Text)}
	old, ok := k.approved(gate.Owner(who), f.Path)
	if !ok {
		return p, nil
	}
	if p.Before = old.hash; !p.Changed() {
		return p, nil
	}
	diff, _ := project.Diff(old.text, f.Text)
	for _, line := range diff {
		p.Diff = append(p.Diff, recorded(line))
	}
	return p, nil
}

// keyLine is a line of a file that has nothing but a long word of base64 in it, after
// what a difference puts in front: one of a private key, for all that can be told.
var keyLine = regexp.MustCompile(`^([-+|] )\s*[A-Za-z0-9+/=_-]{40,}\s*$`)

// recorded is a line of a difference as it may be recorded and displayed. What was
// concealed is seen to be there, and to have changed.
func recorded(line string) string {
	return keyLine.ReplaceAllString(gate.Shown(line), "$1[concealed]")
}

// says refuses a request that is not the file's task. Where the program is, what it
// holds, and where links lead, whoever asks reports.
func (f *File) says(refs []ref.Ref, place canon.Place) error {
	refuse := func(kind fault.Kind, msg string) error {
		return fault.New(kind, "project ask", f.Path, msg).WithHint("see: thumbturn project show")
	}
	if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path || filepath.Base(f.Path) != project.FileName {
		return refuse(fault.Usage, "not the path of a project's file")
	}
	file, err := project.Parse(project.FileName, f.Text)
	if err != nil {
		return refuse(fault.Usage, err.Error())
	}
	task, ok := file.Task(f.Task)
	dir := filepath.Dir(f.Path)
	in, err := filepath.Rel(dir, place.Dir)
	switch {
	case !ok:
		return refuse(fault.NotFound, "the file has no such task")
	case canon.ArgvDigest(task.Argv) != place.Argv || task.Free != place.Free:
		return refuse(fault.Conflict, "the file says another command for the task")
	case err != nil || !filepath.IsLocal(in) || task.Dir == "" && in != ".":
		return refuse(fault.Conflict, "the file says another directory for the task")
	}
	var known []ref.Ref
	var names, plain []string
	for _, v := range slices.Concat(task.Env, file.Env) { // the first counts, plain text too
		switch r := v.Refs(); {
		case slices.Contains(names, v.Name) || slices.Contains(plain, v.Name):
		case len(r) == 0:
			plain = append(plain, v.Name)
		default:
			names, known = append(names, v.Name), append(known, r...)
		}
	}
	for _, r := range refs {
		if !slices.ContainsFunc(known, r.Equal) {
			return refuse(fault.Conflict, "the file does not say that the task needs "+r.String()+": is it from the environment?")
		}
	}
	for _, n := range place.Names {
		if !slices.Contains(names, n) {
			return refuse(fault.Conflict, "the file does not say that the task needs the variable "+n+": is it from the environment?")
		}
	}
	return nil
}

// May refuses a request that can have no lease.
func May(who identity.Caller, r canon.Request, longest time.Duration) error {
	at := canon.Refs(r.Subjects)
	if r.Project.Hidden() {
		return fault.New(fault.Denied, "reserve", at, "more of the project's file changed since it was approved than one question shows").
			WithHint("its tasks can be run, and are asked about one by one; a new session, or a lock, begins anew")
	}
	if longest <= 0 || !Leasable(who, r) {
		return fault.New(fault.Denied, "reserve", at, "this can have no lease").
			WithHint("a policy may give one to an agent's `thumbturn run` in standard vaults: see docs/agents.md")
	}
	return nil
}

// Give opens the lease that came with the approval of a request, and keeps the file
// that was approved by it, nil without one.
func (k *Keeper) Give(ctx context.Context, who identity.Caller, r canon.Request, f *File, by approve.Proof, digest canon.Hash) (Listed, error) {
	at := canon.Refs(r.Subjects)
	given, ok := by.Lease(digest)
	if !ok {
		return Listed{}, fault.New(fault.Denied, "reserve", at, "it was approved without a lease: nothing was given").
			WithHint("on the page: Allow for …; at a terminal: thumbturn approve --lease 30m")
	}
	if !k.OpenTask(ctx, who, r, given) {
		return Listed{}, fault.New(fault.Conflict, "reserve", at, "it changed while it waited for approval").WithHint("ask again")
	}
	if f != nil {
		k.keep(approved{gate.Owner(who), who.Root(), f.Path, canon.ProjectDigest(f.Text), f.Text})
	}
	wall, _ := given.End()
	return Listed{Request: r, Until: wall, Left: given.Uses}, nil
}

// approved returns the file that a session had approved last at a path.
func (k *Keeper) approved(owner, path string) (approved, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget()
	i := slices.IndexFunc(k.files, func(a approved) bool { return a.owner == owner && a.path == path })
	if i < 0 {
		return approved{}, false
	}
	return k.files[i], true
}

// keep replaces the file that a session had approved at a path.
func (k *Keeper) keep(a approved) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget()
	k.files = slices.DeleteFunc(k.files, func(b approved) bool { return b.owner == a.owner && b.path == a.path })
	mine := 0
	for _, b := range k.files {
		if b.owner == a.owner {
			mine++
		}
	}
	if i := slices.IndexFunc(k.files, func(b approved) bool { return mine < maxMine || b.owner == a.owner }); mine >= maxMine || len(k.files) >= maxFiles {
		k.files = slices.Delete(k.files, i, i+1)
	}
	k.files = append(k.files, a)
}

// forget drops the files of sessions that ended. Caller holds mu.
func (k *Keeper) forget() {
	k.files = slices.DeleteFunc(k.files, func(a approved) bool { return !k.g.Who.Alive(a.root) })
}
