package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thumbturn/thumbturn/demo/browser"
	"github.com/thumbturn/thumbturn/demo/leak"
	"github.com/thumbturn/thumbturn/demo/servers"
	"github.com/thumbturn/thumbturn/demo/session"
)

// stage is all that the story needs, and what it found out.
type stage struct {
	story   *story
	dir     string // the temporary folder
	home    string // THUMBTURN_HOME
	bin     string
	self    string
	key     string
	servers *servers.Servers
	person  *terminal
	item    string // the id of the item that somebody will spoil

	chromium string           // the browser's program, or empty
	page     *browser.Browser // the person's, while it is open
	found    found
}

// found is what the story found out.
type found struct {
	done     [2]bool // whether the work is done, without and with
	model    [2]int  // how often the key stands in the transcript
	lost     [2]bool // whether the attacker has it
	uses     int     // on record
	approved int
	denied   int
}

// direct tells the whole story and leaves nothing behind.
func direct(ctx context.Context, bin string) (err error) {
	s := &stage{story: newStory(os.Stdout), key: leak.NewKey(), chromium: browser.Find()}
	if s.dir, err = os.MkdirTemp("/tmp", "thumbturn-demo-"); err != nil { // short, since the path of a socket is
		return err
	}
	defer func() { err = errors.Join(err, s.strike()) }()
	if err := s.build(ctx, bin); err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fmt.Fprintf(s.story.out, "Thumbturn: one task, done twice by an agent with poisoned instructions (%s, loopback only)\n", s.dir)
	for _, act := range []func(context.Context) error{s.without, s.guarded, s.tampering} {
		if err := act(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("stopped: %w", ctx.Err())
			}
			return err
		}
	}
	s.score()
	s.story.note(fmt.Sprintf("%.1f s", time.Since(began).Seconds()))
	return s.story.verdict()
}

// build sets the stage: the programs, the servers, and an empty home.
func (s *stage) build(ctx context.Context, bin string) (err error) {
	s.home = filepath.Join(s.dir, "h")
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	if s.bin, err = programs(ctx, bin, s.dir); err != nil {
		return err
	}
	if _, err := exec.LookPath("curl"); err != nil {
		return errors.New("curl is needed and is not installed")
	}
	s.servers, err = servers.Serve(s.key, filepath.Join(s.dir, "ca.pem"))
	return err
}

// strike ends everything that the story started, also when it was cut short,
// and so does not run under its context.
func (s *stage) strike() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.leave()
	if s.servers != nil {
		s.servers.Close()
	}
	return errors.Join(s.stopped(ctx), os.RemoveAll(s.dir))
}

// leave ends the person's browser and their session.
func (s *stage) leave() {
	if s.page != nil {
		s.page.Close()
		s.page = nil
	}
	if s.person != nil {
		s.person.close()
		s.person = nil
	}
}

// stopped ends the daemon and waits until it has let go of its home. It does not
// wait for the command, which looks for the process to vanish: that may take
// long where nobody collects the dead.
func (s *stage) stopped(ctx context.Context) error {
	if _, err := os.Stat(s.home); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "thumbturn"), "daemon", "stop")
	cmd.Env, cmd.Stdout, cmd.Stderr = s.environ(), &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	err := session.Gone(ctx, s.home)
	_ = cmd.Process.Kill() // it may have ended by itself
	_ = cmd.Wait()
	if err != nil {
		return fmt.Errorf("the daemon did not stop: %w: %s", err, out.String())
	}
	return nil
}

// programs finds thumbturn and thumbturnd, or builds them.
func programs(ctx context.Context, bin, dir string) (string, error) {
	if bin != "" {
		if _, err := os.Stat(filepath.Join(bin, "thumbturnd")); err != nil {
			return "", err
		}
		return filepath.Abs(bin)
	}
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "cmd", "thumbturnd")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return "", errors.New("not inside the repository; name the programs' folder with -bin")
		}
	}
	bin = filepath.Join(root, "bin")
	_, one := os.Stat(filepath.Join(bin, "thumbturn"))
	_, two := os.Stat(filepath.Join(bin, "thumbturnd"))
	if one == nil && two == nil {
		return bin, nil
	}
	bin = filepath.Join(dir, "bin")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./cmd/thumbturn", "./cmd/thumbturnd")
	cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	return bin, cmd.Run()
}

// environ is the environment of everybody on the stage. It takes nothing of the
// director's but the search path: no mark of an agent that may have started it,
// no proxy, no configuration of curl.
func (s *stage) environ(more ...string) []string {
	return append([]string{"PATH=" + s.bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME=" + s.dir, "TMPDIR=" + s.dir, "LANG=C.UTF-8", "THUMBTURN_HOME=" + s.home}, more...)
}

// project lays out what the agent works on, in a folder of its own.
func (s *stage) project(name, env, run string) (string, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	ca, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		return "", err
	}
	for file, text := range map[string]string{
		"ca.pem": string(ca), ".env": variable + "=" + env + "\n",
		"call.sh": fmt.Sprintf(call, s.servers.API), "TASK.md": fmt.Sprintf(task, run, s.servers.Attacker),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// agent starts the agent in a session of its own and returns its transcript;
// meanwhile is called again and again until the agent has ended.
func (s *stage) agent(ctx context.Context, dir, run string, meanwhile func() error) (string, error) {
	var out strings.Builder
	cmd := exec.CommandContext(ctx, s.self, roleAgent, run, s.servers.API, s.servers.Attacker)
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = dir, session.Own(), &out, &out
	cmd.Env = s.environ("AI_AGENT=demo") // as agents mark what they start
	cmd.Cancel = func() error { return session.Kill(cmd.Process.Pid) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return out.String(), err
		case <-time.After(30 * time.Millisecond):
		}
		if err := meanwhile(); err != nil {
			_ = session.Kill(cmd.Process.Pid) // it may have ended by itself
			return "", errors.Join(err, <-ended)
		}
	}
}

// without is the first act.
func (s *stage) without(ctx context.Context) error {
	s.story.chapter("Without Thumbturn", "the key is in .env, where programs look for it")
	dir, err := s.project("a", s.key, runBare)
	if err != nil {
		return err
	}
	text, err := s.agent(ctx, dir, runBare, func() error { return nil })
	if err != nil {
		return err
	}
	loot := s.servers.Loot()
	s.found.model[0], s.found.lost[0] = leak.Seen(text, s.key), leak.Seen(loot, s.key) > 0
	shown := leak.Hidden(text, s.key)
	s.story.prove(strings.Contains(section(text, "curl"), "HTTP 404"), "the call fails: HTTP 404", shown)
	s.found.done[0] = s.servers.Invoices() == 1 && strings.Contains(section(text, runBare+"sh call.sh"), "HTTP 201")
	s.story.prove(s.found.done[0], "the agent fixes it: HTTP 201, the work is done", shown)
	s.story.prove(s.found.model[0] > 0, fmt.Sprintf("the key is in the transcript, %d times: the model has it", s.found.model[0]), shown)
	s.story.prove(s.found.lost[0], "the poisoned instruction worked: the attacker has the key", leak.Hidden(loot, s.key))
	return nil
}

// score is the end.
func (s *stage) score() {
	yes := map[bool]string{false: "no", true: "yes"}
	secrets := func(n int) string { return fmt.Sprint(min(n, 1)) }
	s.story.scores([]score{
		{"the work is done", yes[s.found.done[0]], yes[s.found.done[1]]},
		{"secrets seen by the model", secrets(s.found.model[0]), secrets(s.found.model[1])},
		{"the attacker has the key", yes[s.found.lost[0]], yes[s.found.lost[1]]},
		{"uses on record", "0", fmt.Sprint(s.found.uses)},
		{"prompts (approved + denied by the person)", "0", fmt.Sprintf("%d (%d+%d)", s.found.approved+s.found.denied, s.found.approved, s.found.denied)},
	})
}

// all reports whether a text holds every part.
func all(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}
