//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An agent's session runs its task under a lease as often as it likes. Not under
// it: another session, a process cut loose from this one, another worktree, an
// argument more, the same program in another file, other content, and a value
// that was set anew; nor anything once the vaults were locked.
func TestLeasedTask(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/db/password", canary)
	policy := strings.Replace(h.ok("policy", "show"), "@id(\"agent-hold\")\n", "@id(\"agent-hold\")\n@lease(\"30m\")\n", 1)
	draft := h.write("lease.cedar", policy)
	r := h.person("policy", "apply", "--no-wait", draft)
	wantCode(t, r, 5)
	h.approve(strings.TrimSpace(r.Out))
	h.ok("policy", "apply", "--request", strings.TrimSpace(r.Out), draft)
	dir, other := filepath.Join(filepath.Dir(h.dir), "one"), filepath.Join(filepath.Dir(h.dir), "two")
	for _, d := range []string{dir, other} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const text = "#!/bin/sh\nprintf '%s' \"$PASSWORD\" | wc -c\n"
	job := filepath.Join(dir, "job.sh")
	script := func(text string) { // in place: the file stays the same
		t.Helper()
		if err := os.WriteFile(job, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script(text)
	agent, sibling := newShell(t, h.env()), newShell(t, h.env())
	run := func(s *shell, dir string, args ...string) result {
		t.Helper()
		return h.heard(s.run(command{Argv: append([]string{program("thumbturn"), "run"}, args...), Dir: dir, Env: []string{"PASSWORD=op://dev/db/password"}}))
	}
	asked := func(what string, r result) { // they stay: a denial would make the session rest
		t.Helper()
		if r.Code != 5 {
			t.Errorf("%s: %v", what, r)
		}
	}
	lease := func() string {
		t.Helper()
		r := run(agent, dir, "--no-wait", "--", job)
		wantCode(t, r, 5)
		id := strings.TrimSpace(r.Out)
		h.ok("approve", "--lease", "10m", "--passphrase-file", h.file("presence"), id)
		wantCode(t, run(agent, dir, "--request", id, "--", job), 0)
		wantCode(t, run(agent, dir, "--no-wait", "--", job), 0)
		return id
	}
	id := lease()
	wantSaid(t, h.person("requests"), id, "leased", "99 uses left")

	asked("another session", run(sibling, dir, "--no-wait", "--", job))
	loose := command{Argv: []string{program("thumbturn"), "run", "--no-wait", "--", job}, Dir: dir, Env: []string{"PASSWORD=op://dev/db/password"}, Setsid: true}
	asked("cut loose", h.heard(agent.run(loose)))
	asked("another worktree", run(agent, other, "--no-wait", "--", job))
	asked("an argument more", run(agent, dir, "--no-wait", "--", job, "x"))
	wantCode(t, run(agent, dir, "--no-wait", "--no-masking", "--", job), 3)
	script(text + "# more\n")
	asked("other content", run(agent, dir, "--no-wait", "--", job))
	script(text)
	wantCode(t, run(agent, dir, "--no-wait", "--", job), 0)
	for _, step := range [][]string{{"cp", "-p", job, job + ".new"}, {"mv", job + ".new", job}} {
		wantCode(t, h.do(command{Argv: step}), 0)
	}
	asked("another file", run(agent, dir, "--no-wait", "--", job))

	wantCode(t, h.person("deny", id), 0)
	lease()
	h.set("op://dev/db/password", canary)
	asked("a value set anew", run(agent, dir, "--no-wait", "--", job))

	lease()
	wantCode(t, h.person("lock"), 0)
	h.unlock()
	asked("after a lock", run(agent, dir, "--no-wait", "--", job))
	h.ok("audit", "verify")
	wantSaid(t, h.person("audit", "verify", "--approvals", "--root", h.status().Root), "everything agrees")
}

// A project asks once for what its tasks need: all of it is one answer, a task whose
// arguments are free runs with any, the others with none, and a change is asked about
// alone.
func TestProjectAsks(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/db/password", canary)
	dir := filepath.Join(filepath.Dir(h.dir), "shop")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := func(more string) {
		t.Helper()
		text := `[tasks.test]
argv = ["/bin/sh", "-c", "printf '%s' \"$PASSWORD\" | wc -c; echo \"$@\"", "test"]
args = "any"
env = { PASSWORD = "op://dev/db/password" }
[tasks.push]
argv = ["/bin/sh", "-c", "echo pushed"` + more + `]
env = { PASSWORD = "op://dev/db/password" }
[[agents.needs]]
refs = ["op://dev/db/password"]
task = "test"
[[agents.needs]]
refs = ["op://dev/db/password"]
task = "push"
`
		if err := os.WriteFile(filepath.Join(dir, ".thumbturn.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("")
	agent := newShell(t, h.env())
	run := func(args ...string) result {
		t.Helper()
		return h.heard(agent.run(command{Argv: append([]string{program("thumbturn")}, args...), Dir: dir}))
	}
	if r := run("project", "ask"); r.Code != 3 || !strings.Contains(r.Err, "no lease") {
		t.Errorf("without a policy for it: %v", r)
	}
	draft := h.write("lease.cedar", strings.Replace(h.ok("policy", "show"), "@id(\"agent-hold\")\n", "@id(\"agent-hold\")\n@lease(\"30m\")\n", 1))
	r := h.person("policy", "apply", "--no-wait", draft)
	h.approve(strings.TrimSpace(r.Out))
	h.ok("policy", "apply", "--request", strings.TrimSpace(r.Out), draft)

	var saw string // by the person
	given := func(n int) string {
		t.Helper()
		done := make(chan result, 1)
		go func() { done <- run("project", "ask") }()
		var ids []string
		for range 200 {
			ids = nil
			for _, line := range strings.Split(h.person("requests").Out, "\n") {
				if f := strings.Fields(line); len(f) > 2 && f[2] == "pending" {
					ids = append(ids, f[0])
				}
			}
			if len(ids) == n {
				break
			}
		}
		if len(ids) != n {
			t.Fatalf("%d requests wait, not %d", len(ids), n)
		}
		r := h.person(append([]string{"approve", "--lease", "10m", "--passphrase-file", h.file("presence")}, ids...)...)
		wantCode(t, r, 0)
		saw = r.Err
		r = <-done
		wantCode(t, r, 0)
		return r.Out
	}
	code := func() string {
		t.Helper()
		_, rest, _ := strings.Cut(run("project", "show").Out, "\nfile ")
		return strings.Fields(rest)[0]
	}
	first := code()
	if out := given(2); strings.Count(out, "leased") != 2 || !strings.Contains(out, "100 uses") || !strings.Contains(out, first) {
		t.Errorf("%s", out)
	}
	if strings.Count(saw, first) != 2 || strings.Count(saw, "none at its path is known as approved before") != 2 || strings.Contains(saw, "file change") {
		t.Errorf("%s", saw)
	}
	for _, x := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"run", "--no-wait", "--task", "test"}, 0, ""},
		{[]string{"run", "--no-wait", "--task", "test", "one", "two"}, 0, "one two"},
		{[]string{"run", "--no-wait", "--task", "push"}, 0, "pushed"},
		{[]string{"run", "--no-wait", "--task", "push", "x"}, 2, ""},
	} {
		if r := run(x.args...); r.Code != x.code || !strings.Contains(r.Out, x.out) {
			t.Errorf("%v: %v", x.args, r)
		}
	}
	if out := h.person("requests").Out; !strings.Contains(out, "98 uses left") || !strings.Contains(out, "99 uses left") {
		t.Errorf("%s", out)
	}
	file(`, "more"`)
	if out := given(1); !strings.Contains(out, "test: allowed already") || !strings.Contains(out, "push: leased") {
		t.Errorf("after a change: %s", out)
	}
	for _, want := range []string{code(), "CHANGED since " + first, `file change: - argv = ["/bin/sh", "-c", "echo pushed"]`, `file change: + argv = ["/bin/sh", "-c", "echo pushed", "more"]`} {
		if !strings.Contains(saw, want) {
			t.Errorf("no %q in %s", want, saw)
		}
	}
	file(`, "more"]` + strings.Repeat("\n# more", 200) + "\n#")
	if r := run("project", "ask"); r.Code != 0 || strings.Count(r.Out, "allowed already") != 2 {
		t.Errorf("a long change beside what is leased: %v", r)
	}
	file(`, "most"]` + strings.Repeat("\n# more", 200) + "\n#")
	if r := run("project", "ask"); r.Code != 3 || !strings.Contains(r.Err, "more of the project's file changed") {
		t.Errorf("a long change: %v", r)
	}
	file(`, "$PASSWORD"`)
	h.set("op://dev/db/other", canary)
	for _, more := range [][]string{{"PGPASSWORD=op://dev/db/password"}, {"PASSWORD=op://dev/db/other"}} {
		r := h.heard(agent.run(command{Argv: []string{program("thumbturn"), "project", "ask"}, Dir: dir, Env: more}))
		if r.Code != 1 || !strings.Contains(r.Err, "is it from the environment?") {
			t.Errorf("%v: %v", more, r)
		}
	}
	h.ok("audit", "verify", "--approvals")
}
