//go:build unix

package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/approve"
	"github.com/thumbturn/thumbturn/internal/broker"
	"github.com/thumbturn/thumbturn/internal/broker/handoff"
	"github.com/thumbturn/thumbturn/internal/broker/lease"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/project"
	"github.com/thumbturn/thumbturn/ref"
)

// wish is what `thumbturn project ask` asks for.
type wish struct {
	job
	names []string
	file  lease.File
	ask   broker.Ask
}

// backupFile is a project's file with the task of task, and more text behind.
func backupFile(more string) string {
	return `[env]
PASSWORD = "op://dev/DB/password"
[tasks.backup]
argv = ["/usr/local/bin/backup.sh", "--full"]
[tasks.other]
argv = ["/usr/local/bin/backup.sh"]
args = "any"
dir = "sub"
` + more
}

func wishes() wish {
	return wish{job: task(), names: []string{"PASSWORD"}, file: lease.File{Path: "/srv/.thumbturn.toml", Task: "backup", Text: []byte(backupFile(""))}}
}

// other is the other task of the file.
func other(x wish) wish {
	x.file.Task = "other"
	x.prog.Argv, x.prog.Dir, x.prog.Free = x.prog.Argv[:1], "/srv/sub", true
	return x
}

func (x wish) changed(text string) wish { x.file.Text = []byte(text); return x }

// reserve asks; answer gets the request that a person saw, of which there may be none.
func (h theatre) reserve(x wish, answer func(approve.Ticket) error) (shown *canon.Project, got lease.Listed, err error) {
	h.t.Helper()
	who := h.as(x.pid, "thumbturn", "project", "ask")
	_, server := h.pair()
	x.ask.Waiting = func(t approve.Ticket) (func(), error) {
		var r canon.Request
		if err := canon.Decode(t.Raw, &r); err != nil || r.Check() != nil {
			h.t.Errorf("%v, %v", err, r.Check())
		}
		shown = r.Project
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := answer(t); err != nil {
				h.t.Errorf("answer: %v", err)
			}
		}()
		return func() { <-done }, nil
	}
	want := broker.Want{Ask: x.ask, File: &x.file}
	for _, s := range x.refs {
		r, err := ref.Parse(s)
		if err != nil {
			h.t.Fatal(err)
		}
		want.Refs = append(want.Refs, r)
	}
	got, err = h.broker.Reserve(context.Background(), who, want, handoff.To(server, x.prog, broker.ShownArgs(x.prog.Argv), x.names))
	return shown, got, err
}

// with answers with a lease, or with an approval alone.
func (h theatre) with(l approve.Lease) func(approve.Ticket) error {
	return func(t approve.Ticket) error {
		return h.broker.Approve(context.Background(), h.who, t.ID, broker.Answer{Source: "terminal", Lease: l, Secret: []byte(presencePass)})
	}
}

// leases reserves and expects a person to be asked, and to see that of the file.
func (h theatre) leases(what string, x wish, want *canon.Project) {
	h.t.Helper()
	shown, got, err := h.reserve(x, h.with(h.terms(30*time.Minute, 10)))
	if want != nil {
		want.File, want.Task, want.Hash = x.file.Path, x.file.Task, canon.ProjectDigest(x.file.Text)
	}
	if diff := cmp.Diff(want, shown); diff != "" || err != nil || (got.Request.ID != "") != (want != nil) {
		h.t.Errorf("%s: %+v, %v\n%s", what, got, err, diff)
	}
}

// The first file is shown by its digest, the next by what is different from the one
// that was approved last, and none where its task has a lease. What was not leased does
// not count as approved.
func TestProjectShowsDifference(t *testing.T) {
	t.Parallel()
	h := leased(t)
	x := wishes()
	v1, v2 := backupFile(""), backupFile("# more\n")
	first, second := canon.ProjectDigest([]byte(v1)), canon.ProjectDigest([]byte(v2))
	diff := []string{"@ line 6", `| argv = ["/usr/local/bin/backup.sh"]`, `| args = "any"`, `| dir = "sub"`, "+ # more", "| "}

	h.leases("first", x, &canon.Project{})
	h.given("the task", task())
	h.leases("the same", x, nil)
	h.leases("another file, the same task", x.changed(v2), nil)

	deny := func(t approve.Ticket) error { return h.broker.Deny(context.Background(), h.who, t.ID) }
	shown, _, err := h.reserve(other(x).changed(v2), deny)
	if !fault.Is(err, fault.Denied) || shown.Before != first || cmp.Diff(diff, shown.Diff) != "" {
		t.Errorf("denied: %+v, %v", shown, err)
	}
	h.clock.move(10*time.Second, 10*time.Second)
	shown, _, err = h.reserve(other(x).changed(v2), h.with(approve.Lease{}))
	if !fault.Is(err, fault.Denied) || shown.Before != first {
		t.Errorf("approved without a lease: %+v, %v", shown, err)
	}
	h.leases("another task, of the file as it was", other(x), &canon.Project{Before: first})
	h.leases("that one is leased, whatever the file", other(x).changed(v2), nil)

	pushed := v2 + "[tasks.push]\nargv = [\"/usr/local/bin/backup.sh\", \"push\"]\nenv = { KEY = \"op://dev/DB/password\" }\n"
	y := x.changed(pushed)
	y.file.Task, y.prog.Argv, y.names = "push", []string{"/usr/local/bin/backup.sh", "push"}, []string{"KEY"}
	h.leases("a new task", y, &canon.Project{Before: first, Diff: append(diff[:5:5], "+ [tasks.push]", `+ argv = ["/usr/local/bin/backup.sh", "push"]`,
		`+ env = { KEY = "op://dev/DB/password" }`, "| ")})
	y.file.Text = []byte(strings.Replace(pushed, `"push"]`, `"push", "--token=abcdefgh"]`, 1))
	y.prog.Argv = append(y.prog.Argv, "--token=abcdefgh")
	shown, _, err = h.reserve(y, h.with(h.terms(time.Minute, 1)))
	if err != nil || shown.Before != canon.ProjectDigest([]byte(pushed)) || shown.Before == second || len(shown.Diff) != 8 ||
		!strings.Contains(strings.Join(shown.Diff, "\n"), `"push", "--token=[concealed]`) {
		t.Errorf("changed once more: %+v, %v", shown, err)
	}
	if v, err := h.acc.Verify(context.Background()); err != nil || len(v.Problems) > 0 {
		t.Errorf("verify: %v, %v", v.Problems, err)
	}
}

// What was approved is of one session and one directory, and gone with a lock.
func TestProjectForgets(t *testing.T) {
	t.Parallel()
	h := leased(t)
	x := wishes()
	h.leases("first", x, &canon.Project{})
	away := x
	away.file.Path, away.prog.Dir = "/srv2/.thumbturn.toml", "/srv2"
	h.leases("another worktree", away, &canon.Project{})
	h.again()
	h.leases("after a lock", x, &canon.Project{})
	h.s.mu.Lock()
	p := h.s.procs[agentPID]
	p.Start = 25 // another process of the same number
	h.s.procs[agentPID] = p
	h.s.mu.Unlock()
	h.leases("another session", x.changed(backupFile("#\n")), &canon.Project{})
}

// Nobody is asked for what the file does not say.
func TestProjectSaysOtherwise(t *testing.T) {
	t.Parallel()
	h := leased(t)
	for name, c := range map[string]struct {
		change func(*wish)
		kind   fault.Kind
	}{
		"an argument more":       {func(x *wish) { x.prog.Argv = append(x.prog.Argv[:2:2], "x") }, fault.Conflict},
		"an argument less":       {func(x *wish) { x.prog.Argv = x.prog.Argv[:1] }, fault.Conflict},
		"free arguments":         {func(x *wish) { x.prog.Free = true }, fault.Conflict},
		"no free arguments":      {func(x *wish) { *x = other(*x); x.prog.Free = false }, fault.Conflict},
		"a directory below":      {func(x *wish) { x.prog.Dir = "/srv/sub" }, fault.Conflict},
		"another directory":      {func(x *wish) { x.prog.Dir = "/srv2" }, fault.Conflict},
		"out of the project":     {func(x *wish) { *x = other(*x); x.prog.Dir = "/srv/../etc" }, fault.Conflict},
		"a file beside":          {func(x *wish) { x.file.Path = "/srv2/.thumbturn.toml" }, fault.Conflict},
		"another reference":      {func(x *wish) { x.refs = []string{"op://dev/Other/password"} }, fault.Conflict},
		"a reference more":       {func(x *wish) { x.refs = append(x.refs, "op://dev/Other/password") }, fault.Conflict},
		"another variable":       {func(x *wish) { x.names = []string{"NODE_OPTIONS"} }, fault.Conflict},
		"a variable more":        {func(x *wish) { x.names = append(x.names, "PGPASSWORD") }, fault.Conflict},
		"a name without a value": {func(x *wish) { *x = x.changed(backupFile("env = { A = 'plain' }\n")); x.names = []string{"A"} }, fault.Conflict},
		"of the project, where the task has none": {func(x *wish) {
			*x = x.changed(strings.Replace(backupFile(""), "[tasks.other]", "env = { PASSWORD = '' }\n[tasks.other]", 1))
		}, fault.Conflict},
		"the task of another": {func(x *wish) { x.file.Task = "other" }, fault.Conflict},
		"no such task":        {func(x *wish) { x.file.Task = "none" }, fault.NotFound},
		"no task":             {func(x *wish) { x.file.Task = "" }, fault.NotFound},
		"a relative path":     {func(x *wish) { x.file.Path = ".thumbturn.toml" }, fault.Usage},
		"an unclean path":     {func(x *wish) { x.file.Path = "/srv/x/../.thumbturn.toml" }, fault.Usage},
		"another name":        {func(x *wish) { x.file.Path = "/srv/thumbturn.toml" }, fault.Usage},
		"no file":             {func(x *wish) { x.file.Text = nil }, fault.NotFound},
		"a mistake in it":     {func(x *wish) { *x = x.changed(backupFile("more = 1\n")) }, fault.Usage},
		"not text":            {func(x *wish) { *x = x.changed(backupFile("#\xff\n")) }, fault.Usage},
		"far too long":        {func(x *wish) { *x = x.changed(backupFile(strings.Repeat("#\n", project.MaxSize/2))) }, fault.Usage},
	} {
		x := wishes()
		c.change(&x)
		nobody := func(x approve.Ticket) error {
			t.Errorf("%s: a person was asked", name)
			return h.broker.Deny(t.Context(), h.who, x.ID)
		}
		if _, got, err := h.reserve(x, nobody); !fault.Is(err, c.kind) || got.Request.ID != "" {
			t.Errorf("%s: %v; want %s", name, err, c.kind)
		}
	}
	less := wishes().changed(backupFile("env = { OTHER = 'op://dev/Other/password' }\n"))
	h.leases("less than the file says", less, &canon.Project{})
}

// A change that is too long to be shown has no lease, and is no question. Once for a
// session; what is leased is not touched by it.
func TestProjectChangeTooLong(t *testing.T) {
	t.Parallel()
	h := leased(t)
	x := wishes()
	h.leases("first", x, &canon.Project{})
	long := backupFile(strings.Repeat("# nothing\n", 200))
	nobody := func(x approve.Ticket) error {
		t.Error("a person was asked")
		return h.broker.Deny(t.Context(), h.who, x.ID)
	}
	_, _, err := h.reserve(other(x).changed(long), nobody)
	if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "more of the project's file changed") {
		t.Error(err)
	}
	h.leases("the task that is leased", x.changed(long), nil)
	h.again()
	h.leases("after a lock", other(x).changed(long), &canon.Project{})
}

// Whoever comes back for the answer brings the file that was shown.
func TestProjectComesBack(t *testing.T) {
	t.Parallel()
	h := leased(t)
	x := wishes()
	x.ask.NoWait = true
	_, _, err := h.reserve(x, nil)
	waits, ok := errors.AsType[*fault.Error](err)
	if !ok || waits.Kind != fault.Pending {
		t.Fatal(err)
	}
	if err := h.with(h.terms(30*time.Minute, 10))(approve.Ticket{ID: waits.Ref}); err != nil {
		t.Fatal(err)
	}
	x.ask.Request = waits.Ref
	plain := x
	for name, y := range map[string]wish{"another file": x.changed(backupFile("#\n")), "another path": plain} {
		if name == "another path" {
			y.file.Path = "/.thumbturn.toml"
			y.file.Text = []byte(strings.Replace(backupFile(""), "[tasks.other]", "dir = 'srv'\n[tasks.other]", 1))
		}
		if _, _, err := h.reserve(y, nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.refused("not as a run", job{pid: x.pid, refs: x.refs, prog: x.prog}, fault.Pending)
	if _, got, err := h.reserve(x, nil); err != nil || got.Request.ID != waits.Ref {
		t.Errorf("%+v, %v", got, err)
	}
	h.given("the task", task())
}
