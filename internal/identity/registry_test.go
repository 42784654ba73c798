package identity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/kernel"
)

func TestZeroCallerIsNobody(t *testing.T) {
	var c Caller
	if c.Kind() != Nobody || !c.Agent() || c.UID() != -1 || c.HasTerminal() || c.Foreground() || c.ParentIsLeader() {
		t.Errorf("the zero Caller has rights: %+v", c.Evidence())
	}
	if c.Root().String() != "" || c.Session() != (Session{}) || c.Label() != "" {
		t.Error("the zero Caller is somebody")
	}
	if _, under := c.UnderAgent(); !under {
		t.Error("the zero Caller passes for a person's")
	}
	r := New(terminal(), Options{TestHome: true})
	for name, err := range map[string]error{"Recheck": r.Recheck(c), "Mark": r.Mark(c), "MarkTest": r.MarkTest(c), "Markable": Markable(c, true)} {
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s of nobody: %v", name, err)
		}
	}
	c.Close()
}

// What the kernels of other systems say is enough for a person, or never.
func TestOtherSystems(t *testing.T) {
	mac := terminal() // no namespaces, no working directories, all of our own user's processes readable
	none := Namespaces{Mnt: "none", PID: "none", User: "none"}
	mac.self.Namespaces = none
	for pid := range mac.procs {
		mac.edit(pid, func(p *Process) { p.NS, p.Cwd, p.Unreadable = none, "", []string{kernel.UnCwd} })
	}
	r := New(mac, Options{})
	if err := r.Mark(caller(t, r)); err != nil {
		t.Errorf("macOS: %v", err)
	}
	if c := caller(t, r); c.Kind() != Person || r.Recheck(c) != nil {
		t.Errorf("macOS: %s, %s", c.Kind(), c.Why())
	}

	windows := terminal()
	for pid := range windows.procs {
		windows.edit(pid, func(p *Process) {
			p.SID, p.PGID, p.TTY, p.Cwd, p.Argv, p.NS = 0, 0, Terminal{}, "", nil, Namespaces{SID: "S-1-5-21-1-2-3-1001"}
			p.Unreadable = []string{kernel.UnArgv, kernel.UnCwd, kernel.UnEnviron, kernel.UnNS, kernel.UnSession}
		})
	}
	r = New(windows, Options{TestHome: true})
	c := caller(t, r)
	if c.Kind() != Agent || !strings.Contains(c.Why(), "no terminal sessions") || Markable(c, true) == nil || r.MarkTest(c) == nil {
		t.Errorf("Windows: %s, %s", c.Kind(), c.Why())
	}
	if c.Root() == (Root{}) || r.Recheck(c) != nil {
		t.Errorf("Windows: %v, %v", c.Root(), r.Recheck(c))
	}
}

func TestPerson(t *testing.T) {
	w := terminal()
	r := New(w, Options{})
	c := caller(t, r)
	if c.Kind() != Agent || c.Why() != "terminal session not unlocked here" {
		t.Fatalf("before unlock: %s, %s", c.Kind(), c.Why())
	}
	if err := r.Mark(c); err != nil {
		t.Fatal(err)
	}
	c = caller(t, r)
	want := Session{SID: shellPID, Leader: shellPID, LeaderStart: 60, BootID: "boot", TTY: "/dev/pts/0", Namespaces: home()}
	if c.Kind() != Person || !c.ParentIsLeader() || !c.HasTerminal() || !c.Foreground() || c.Agent() {
		t.Errorf("after unlock: %s, %s", c.Kind(), c.Why())
	}
	if diff := cmp.Diff(want, c.Session()); diff != "" {
		t.Error(diff)
	}
	if got := c.Root().String(); got != "200.60.boot" || !r.Alive(c.Root()) {
		t.Errorf("root %q", got)
	}
	if err := r.Recheck(c); err != nil {
		t.Error(err)
	}
	r.Unmark()
	if err := r.Recheck(c); !fault.Is(err, fault.Denied) {
		t.Errorf("a person's caller outlived the lock: %v", err)
	}
	if c := caller(t, r); c.Kind() != Agent {
		t.Errorf("after lock: %s", c.Kind())
	}
}

// TestMarkedSessionStillLowers: in a marked session, every one of these is not a person.
func TestMarkedSessionStillLowers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(*world)
		why   string
		label string
		root  int
	}{
		{"setsid -f env -i script", func(w *world) { // a real terminal, no marks, parent 1
			w.insert(250, askPID, "/usr/bin/script", "-qc", "thumbturn read")
			w.edit(250, func(p *Process) { p.PPID, p.SID, p.PGID, p.TTY = 1, 250, 250, Terminal{} })
			w.edit(askPID, func(p *Process) { p.SID, p.TTY.Nr, p.TTY.Name = askPID, 136<<8|9, "/dev/pts/9" })
		}, "terminal session not unlocked here", "", askPID},
		{"double fork", func(w *world) { w.edit(askPID, func(p *Process) { p.PPID = 1 }) },
			"the leader of its session is not among its parents", "", askPID},
		{"terminal multiplexer of another session", func(w *world) {
			w.insert(150, askPID, "/usr/bin/tmux")
			w.edit(150, func(p *Process) { p.PPID, p.SID, p.PGID, p.TTY = 1, 150, 150, Terminal{} })
			w.insert(160, askPID, "/usr/bin/bash")
			w.edit(160, func(p *Process) { p.PPID, p.SID, p.PGID = 150, 160, 160 })
			w.edit(askPID, func(p *Process) { p.SID = 160 })
		}, "terminal session not unlocked here", "", 160},
		{"agent by name", func(w *world) { w.insert(250, askPID, "/opt/bin/claude") }, "claude in the chain", "claude", 250},
		{"agent by script", func(w *world) {
			w.insert(250, askPID, "/usr/bin/node", "--max-old-space-size=4096", "/usr/lib/node_modules/@openai/codex/bin/x.js")
		}, "codex in the chain", "codex", 250},
		{"agent by mark", func(w *world) {
			w.insert(250, askPID, "/bin/sh")
			w.edit(250, func(p *Process) { p.Marks = []string{"AI_AGENT", "GEMINI_CLI"} })
		}, "gemini in the chain", "gemini", 250},
		{"agent is the leader", func(w *world) { w.edit(shellPID, func(p *Process) { p.Marks = []string{"CLAUDECODE"} }) },
			"claude in the chain", "claude", shellPID},
		{"agent calls itself an editor", func(w *world) {
			w.insert(250, askPID, "/tmp/code")
			w.edit(250, func(p *Process) { p.Marks = []string{"CLAUDECODE"} })
		}, "claude in the chain", "claude", shellPID},
		{"the topmost agent is the root", func(w *world) {
			w.insert(260, askPID, "/opt/bin/codex")
			w.insert(250, 260, "/opt/bin/claude")
		}, "claude in the chain", "claude", 250},
		{"unreadable parent", func(w *world) {
			w.insert(250, askPID, "")
			w.edit(250, func(p *Process) {
				p.Exe.State, p.Unreadable = kernel.StateUnreadable, []string{kernel.UnExe, kernel.UnEnviron}
			})
		}, "a process of the chain cannot be read", "", shellPID},
		{"environment of the leader unreadable", func(w *world) {
			w.edit(shellPID, func(p *Process) { p.Unreadable = []string{kernel.UnEnviron} })
		}, "a process of the chain cannot be read", "", shellPID},
		{"status unreadable", func(w *world) { w.edit(askPID, func(p *Process) { p.Unreadable = []string{kernel.UnStatus} }) },
			"a process of the chain cannot be read", "", shellPID},
		{"NoNewPrivs", func(w *world) { w.edit(askPID, func(p *Process) { p.NoNewPrivs = true }) }, "NoNewPrivs set", "", shellPID},
		{"other mount namespace", func(w *world) { w.edit(askPID, func(p *Process) { p.NS = home(); p.NS.Mnt = "mnt:[9]" }) },
			"in other namespaces", "", shellPID},
		{"other pid namespace", func(w *world) { w.edit(askPID, func(p *Process) { p.NS = home(); p.NS.PID = "pid:[9]" }) },
			"in other namespaces", "", shellPID},
		{"other user namespace", func(w *world) { w.edit(askPID, func(p *Process) { p.NS = home(); p.NS.User = "user:[9]" }) },
			"in other namespaces", "", shellPID},
		{"namespaces unreadable and not alike", func(w *world) { w.edit(askPID, func(p *Process) { p.NS.Alike = false }) },
			"in other namespaces", "", shellPID},
		{"alike does not outweigh a link", func(w *world) { w.edit(askPID, func(p *Process) { p.NS.Mnt = "mnt:[9]" }) },
			"in other namespaces", "", shellPID},
		{"background", func(w *world) {
			for _, pid := range []int{askPID, shellPID} {
				w.edit(pid, func(p *Process) { p.TTY.Foreground = shellPID })
			}
		}, "in the background of its terminal", "", shellPID},
		{"no terminal", func(w *world) { w.edit(askPID, func(p *Process) { p.TTY = Terminal{} }) }, "no terminal", "", shellPID},
		{"another terminal", func(w *world) { w.edit(askPID, func(p *Process) { p.TTY.Nr++ }) }, "not in its session's terminal", "", shellPID},
		{"another user between", func(w *world) {
			w.insert(250, askPID, "/usr/bin/sudo")
			w.edit(250, func(p *Process) { p.UID = 0 })
		}, "another user in the chain", "", shellPID},
		{"another session between", func(w *world) {
			w.insert(250, askPID, "/usr/bin/x")
			w.edit(250, func(p *Process) { p.SID = 250 })
		}, "another session in the chain", "", shellPID},
		{"leader's pid recycled", func(w *world) { w.edit(shellPID, func(p *Process) { p.Start = 61 }) },
			"terminal session not unlocked here", "", shellPID},
		{"leader younger than its child", func(w *world) { w.edit(shellPID, func(p *Process) { p.Start = 71 }) },
			"the leader of its session is not among its parents", "", askPID},
		{"another boot", func(w *world) { w.self.BootID = "later" }, "terminal session not unlocked here", "", shellPID},
		{"parent dies while we read", func(w *world) {
			w.hooks = append(w.hooks, func(pid int) {
				if pid == 1 {
					w.edit(askPID, func(p *Process) { p.PPID = 1 })
				}
			})
		}, "the leader of its session is not among its parents", "", askPID},
		{"session led from outside", func(w *world) { w.edit(askPID, func(p *Process) { p.SID = 0 }) },
			"the leader of its session is not among its parents", "", askPID},
		{"no parents shown", func(w *world) {
			w.edit(askPID, func(p *Process) { p.PPID = 0; p.Unreadable = append(p.Unreadable, kernel.UnChain) })
		}, "this platform does not show the chain of parents", "", askPID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := terminal()
			tt.edit(w)
			c := caller(t, marked(t, w))
			if c.Kind() != Agent || c.Why() != tt.why || c.Label() != tt.label || c.Root().PID != tt.root {
				t.Errorf("%s, %q, label %q, root %d; want agent, %q, %q, %d",
					c.Kind(), c.Why(), c.Label(), c.Root().PID, tt.why, tt.label, tt.root)
			}
		})
	}
}

// TestUnknownAgentPasses writes down a limit: what is not known and runs in
// the foreground is a person, but it is never the leader.
func TestUnknownAgentPasses(t *testing.T) {
	w := terminal()
	w.insert(250, askPID, "/opt/bin/homemade")
	c := caller(t, marked(t, w))
	if c.Kind() != Person || c.ParentIsLeader() {
		t.Errorf("%s, parent is leader %v", c.Kind(), c.ParentIsLeader())
	}
}

func TestOtherUser(t *testing.T) {
	w := terminal()
	w.peer.UID = 1001
	c, err := New(w, Options{TestHome: true}).Caller(t.Context(), nil)
	if !fault.Is(err, fault.Denied) || c.Kind() != Nobody || c.Root() != (Root{}) || c.Evidence().UID != 1001 {
		t.Errorf("%v %+v", err, c.Evidence())
	}
	w = terminal() // root is another user too
	w.peer.UID = 0
	if _, err := New(w, Options{}).Caller(t.Context(), nil); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
}

func TestSystemMode(t *testing.T) {
	w := terminal()
	w.self.UID, w.self.Namespaces.Mnt = 990, "mnt:[77]"
	w.edit(1, func(p *Process) { p.NS = home() })
	w.edit(askPID, func(p *Process) { p.NS, p.Unreadable, p.Exe = home(), nil, Exe{Path: "/usr/bin/thumbturn"} })
	r := New(w, Options{System: true, Human: human})
	if err := r.Mark(caller(t, r)); err != nil {
		t.Fatal(err)
	}
	if c := caller(t, r); c.Kind() != Person {
		t.Error(c.Why())
	}
	w.edit(1, func(p *Process) { p.NS = Namespaces{} }) // no CAP_SYS_PTRACE
	if c := caller(t, r); c.Kind() != Agent {
		t.Error("unreadable namespaces matched")
	}
	w.peer.UID = 990
	if _, err := r.Caller(t.Context(), nil); !fault.Is(err, fault.Denied) {
		t.Errorf("the daemon's own user is served: %v", err)
	}
}

func TestUnderAgent(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		want string
	}{
		{"plain", func(*world) {}, ""},
		{"above the leader", func(w *world) { w.insert(90, shellPID, "/opt/bin/claude") }, "claude"},
		{"mark above the leader", func(w *world) {
			w.insert(90, shellPID, "/usr/bin/screen")
			w.edit(90, func(p *Process) { p.Marks = []string{"CODEX_CI"} })
		}, "codex"},
		{"editor", func(w *world) { w.insert(90, shellPID, "/usr/share/code/code") }, ""},
		{"editor started with a mark", func(w *world) {
			w.insert(90, shellPID, "/usr/share/code/code")
			w.edit(90, func(p *Process) { p.Marks = []string{"CLAUDECODE"} })
		}, ""},
		{"editor by its argument alone", func(w *world) {
			w.insert(90, shellPID, "/tmp/x")
			w.edit(90, func(p *Process) { p.Argv, p.Marks = []string{"/usr/share/code/code"}, []string{"CLAUDECODE"} })
		}, "claude"},
		{"ancestor gone", func(w *world) { delete(w.procs, sshdPID) }, "an ancestor that cannot be read"},
		{"loop", func(w *world) { w.edit(1, func(p *Process) { p.PPID = 1 }) }, "an ancestor that cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := terminal()
			tt.edit(w)
			r := New(w, Options{})
			c := caller(t, r)
			if got, under := c.UnderAgent(); got != tt.want || under != (tt.want != "") {
				t.Errorf("%q, %v; want %q", got, under, tt.want)
			}
			if err := r.Mark(c); fault.Is(err, fault.Denied) != (tt.want != "") {
				t.Errorf("Mark: %v", err)
			}
		})
	}
}

func TestMarkRefuses(t *testing.T) {
	for name, edit := range map[string]func(*world){
		"no terminal":      func(w *world) { w.edit(askPID, func(p *Process) { p.TTY = Terminal{} }) },
		"background":       func(w *world) { w.edit(askPID, func(p *Process) { p.TTY.Foreground = shellPID }) },
		"other namespaces": func(w *world) { w.edit(askPID, func(p *Process) { p.NS = Namespaces{} }) },
		"NoNewPrivs":       func(w *world) { w.edit(askPID, func(p *Process) { p.NoNewPrivs = true }) },
		"orphan":           func(w *world) { w.edit(askPID, func(p *Process) { p.PPID = 1 }) },
		"agent":            func(w *world) { w.insert(250, askPID, "/opt/bin/claude") },
	} {
		w := terminal()
		edit(w)
		r := New(w, Options{})
		c := caller(t, r)
		if err := r.Mark(c); !fault.Is(err, fault.Denied) || len(r.marks) != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.MarkTest(c); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: MarkTest outside a test home: %v", name, err)
		}
	}
}

// TestMarkTest: a test home waives terminal and foreground, and the ancestry
// above the leader, and nothing else.
func TestMarkTest(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		ok   bool
	}{
		{"no terminal", func(w *world) {
			for _, pid := range []int{askPID, shellPID} {
				w.edit(pid, func(p *Process) { p.TTY = Terminal{} })
			}
		}, true},
		{"background", func(w *world) { w.edit(askPID, func(p *Process) { p.TTY.Foreground = shellPID }) }, true},
		{"agent above the leader", func(w *world) { w.insert(90, shellPID, "/opt/bin/claude") }, true},
		{"agent in the chain", func(w *world) { w.insert(250, askPID, "/opt/bin/claude") }, false},
		{"NoNewPrivs", func(w *world) { w.edit(askPID, func(p *Process) { p.NoNewPrivs = true }) }, false},
		{"other namespaces", func(w *world) { w.edit(askPID, func(p *Process) { p.NS = Namespaces{} }) }, false},
		{"orphan", func(w *world) { w.edit(askPID, func(p *Process) { p.PPID = 1 }) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := terminal()
			tt.edit(w)
			r := New(w, Options{TestHome: true})
			if err := r.MarkTest(caller(t, r)); (err == nil) != tt.ok {
				t.Fatal(err)
			}
			if c := caller(t, r); (c.Kind() == Person) != tt.ok {
				t.Errorf("%s: %s", c.Kind(), c.Why())
			}
		})
	}
}

func TestRecheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		msg  string // empty: still fine
	}{
		{"nothing", func(*world) {}, ""},
		{"group of the terminal unchanged, shell moved", func(w *world) { w.edit(shellPID, func(p *Process) { p.Cwd = "/" }) }, ""},
		{"ended", func(w *world) { w.peer.Handle.(*fakeHandle).dead = true }, "has ended"},
		{"gone", func(w *world) { delete(w.procs, askPID) }, "cannot be read"},
		{"pid reused", func(w *world) { w.edit(askPID, func(p *Process) { p.Start++ }) }, "process changed"},
		{"exec of an honest program", func(w *world) { w.edit(askPID, func(p *Process) { p.Exe = Exe{Path: "/usr/bin/honest"} }) }, "executable changed"},
		{"executable rewritten", func(w *world) { w.edit(askPID, func(p *Process) { p.Exe.Ctime++ }) }, "executable changed"},
		{"arguments", func(w *world) { w.edit(askPID, func(p *Process) { p.Argv[1] = "list" }) }, "argument list changed"},
		{"directory", func(w *world) { w.edit(askPID, func(p *Process) { p.Cwd = "/tmp" }) }, "directory changed"},
		{"user", func(w *world) { w.edit(askPID, func(p *Process) { p.UID = 0 }) }, "user changed"},
		{"session", func(w *world) { w.edit(askPID, func(p *Process) { p.SID = askPID }) }, "session changed"},
		{"namespaces", func(w *world) { w.edit(askPID, func(p *Process) { p.NS.Alike = false }) }, "namespaces changed"},
		{"privileges", func(w *world) { w.edit(askPID, func(p *Process) { p.NoNewPrivs = true }) }, "privileges changed"},
		{"readability", func(w *world) { w.edit(askPID, func(p *Process) { p.Unreadable = nil }) }, "readability changed"},
		{"background", func(w *world) { w.edit(askPID, func(p *Process) { p.TTY.Foreground = shellPID }) }, "no longer a person's"},
		{"orphaned", func(w *world) { w.edit(askPID, func(p *Process) { p.PPID = 1 }) }, "no longer a person's"},
		{"leader became an agent", func(w *world) { w.edit(shellPID, func(p *Process) { p.Exe.Path = "/opt/claude" }) }, "no longer a person's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := terminal()
			r := marked(t, w)
			c := caller(t, r)
			tt.edit(w)
			err := r.Recheck(c)
			if tt.msg == "" && err == nil {
				return
			}
			if !fault.Is(err, fault.Denied) || tt.msg == "" || !strings.Contains(err.Error(), tt.msg) {
				t.Errorf("%v; want %q", err, tt.msg)
			}
		})
	}
}

// TestRecheckReadsWhatMayHaveChanged: a second look reads the asker, and its
// ancestors only where one of them executed something.
func TestRecheckReadsWhatMayHaveChanged(t *testing.T) {
	w := terminal()
	r := marked(t, w)
	c := caller(t, r)
	var read []int
	w.hooks = []func(int){func(pid int) { read = append(read, pid) }}
	if err := r.Recheck(c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{askPID}, read); diff != "" {
		t.Errorf("at rest it read %s", diff)
	}
	read = nil
	w.edit(sshdPID, func(p *Process) { p.Exe.Inode++ }) // above the leader
	w.edit(shellPID, func(p *Process) { p.Exe.Inode++ })
	if err := r.Recheck(c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{askPID, askPID, shellPID, sshdPID}, read); diff != "" {
		t.Errorf("after an exec it read %s", diff)
	}
}

// TestFarAncestors: one above the leader is read again once it executed
// something, or after a time, since it may have renamed itself.
func TestFarAncestors(t *testing.T) {
	w := terminal()
	r := marked(t, w)
	now := time.Now()
	r.opts.Now = func() time.Time { return now }
	under := func() string { label, _ := caller(t, r).UnderAgent(); return label }
	if got := under(); got != "" {
		t.Fatalf("under %q", got)
	}
	w.edit(sshdPID, func(p *Process) { p.Argv = []string{"claude"} })
	if got := under(); got != "" {
		t.Errorf("read anew at once: %q", got)
	}
	now = now.Add(knownFor)
	if got := under(); got != "claude" {
		t.Errorf("after its time: %q", got)
	}
	w.edit(sshdPID, func(p *Process) { p.Argv, p.Exe = nil, Exe{Path: "/usr/bin/codex", Inode: 99} })
	if got := under(); got != "codex" {
		t.Errorf("after an exec: %q", got)
	}
}

// TestChainThatNeverSettles: ancestors that keep moving are not relied upon.
func TestChainThatNeverSettles(t *testing.T) {
	w := terminal()
	r := marked(t, w)
	now := time.Now()
	r.opts.Now = func() time.Time { now = now.Add(knownFor); return now }
	w.hooks = []func(int){func(pid int) {
		if pid == 1 {
			w.edit(shellPID, func(p *Process) { p.Exe.Inode++ })
		}
	}}
	c := caller(t, r)
	if c.Kind() == Person {
		t.Errorf("a person's, with a leader that was never seen at rest: %s", c.Why())
	}
	if _, under := c.UnderAgent(); !under {
		t.Error("an ancestry that does not settle passes for a whole one")
	}
}

// TestRecheckAgent: the root of an agent's session may not end meanwhile, and
// a Caller may not be used after Close.
func TestRecheckAgent(t *testing.T) {
	w := terminal()
	w.insert(250, askPID, "/opt/bin/claude")
	r := New(w, Options{})
	c := caller(t, r)
	if err := r.Recheck(c); err != nil {
		t.Fatal(err)
	}
	delete(w.procs, 250)
	w.edit(askPID, func(p *Process) { p.PPID = 1 })
	if err := r.Recheck(c); !fault.Is(err, fault.Denied) {
		t.Errorf("the root ended: %v", err)
	}
	w = terminal()
	r = New(w, Options{})
	c = caller(t, r)
	c.Close()
	c.Close()
	if err := r.Recheck(c); !fault.Is(err, fault.Denied) {
		t.Errorf("after Close: %v", err)
	}
}

func TestMarksOfEndedSessionsAreDropped(t *testing.T) {
	w := terminal()
	r := marked(t, w)
	w.edit(shellPID, func(p *Process) { p.Start = 61 })
	if err := r.Mark(caller(t, r)); err != nil {
		t.Fatal(err)
	}
	if len(r.marks) != 1 {
		t.Errorf("%d marks", len(r.marks))
	}
}

func TestEvidence(t *testing.T) {
	w := terminal()
	w.insert(250, askPID, "/opt/bin/claude", slices.Repeat([]string{"x"}, 40)...)
	w.edit(250, func(p *Process) { p.Marks = []string{"CLAUDECODE"} })
	c := caller(t, New(w, Options{}))
	e := c.Evidence()
	if e.Asker.PID != askPID || len(e.Ancestors) != 4 || e.Ancestors[0].PID != 250 || len(e.Ancestors[0].Argv) != ancestorArgs+1 ||
		e.UnderAgent != "claude" || !e.Complete || e.Kind != Agent {
		t.Errorf("%+v", e)
	}
	// Only the root and the leader: the asker itself was unreadable.
	if !slices.Equal(w.asked, []int{250, shellPID}) {
		t.Errorf("hashed %v", w.asked)
	}
	e.Asker.Argv[0], e.Ancestors[0].Argv[0] = "changed", "changed"
	if again := c.Evidence(); again.Asker.Argv[0] != "thumbturn" || again.Ancestors[0].Argv[0] == "changed" {
		t.Error("evidence can be changed from outside")
	}
	a, err := json.Marshal(c.Evidence())
	b, err2 := json.Marshal(c.Evidence())
	if err != nil || err2 != nil || string(a) != string(b) || !strings.HasPrefix(string(a), `{"kind":"agent","label":"claude","why":`) {
		t.Errorf("%v %v %s", err, err2, a)
	}
}
