//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

// conversation is a person with terminals of their own, and an agent with one,
// in a home as a person has it: nothing is a test home, everything is typed.
type conversation struct {
	t     *testing.T
	top   string // HOME
	dir   string // where all work
	you   *screen
	other *screen // yours as well, where you approve what you asked for in the first
	bot   *screen
	away  map[string]*screen // other computers of yours, by name: homes of their own
	uid   int                // whose the homes are, where the tests run as root

	request, root string // what was printed last
}

// knows is what you remember for one home.
type knows struct {
	unlock, presence, code string
	again                  bool // you chose passphrases before: the next ones are others
}

// next is a passphrase in the place of old.
func (k *knows) next(old string) string {
	if k.again {
		return old + " anew"
	}
	return old
}

// screen is one terminal with a shell in it.
type screen struct {
	c     *conversation
	p     *ptytest.Terminal
	at    int // bytes of its output that were read
	knows *knows
}

func converse(t *testing.T) *conversation {
	t.Helper()
	top, err := os.MkdirTemp("", "tt")
	if err != nil {
		t.Fatal(err)
	}
	c := &conversation{t: t, top: top, dir: filepath.Join(top, "shop"), away: map[string]*screen{}}
	t.Cleanup(func() { c.stop(); _ = os.RemoveAll(top) })
	for _, d := range []string{"shop", "usb", "bin"} {
		if err := os.Mkdir(filepath.Join(top, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.you = c.open()
	if out := c.you.run(t, "thumbturn whoami", -1); strings.Contains(out, "under agent") {
		t.Skip("*** SKIP: an agent runs these tests, and a real home refuses it")
	}
	return c
}

func (c *conversation) env(home string) []string {
	return []string{"HOME=" + home, "PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TERM=xterm",
		"PROGRAMS=" + filepath.Join(c.top, "bin"), "PS1=<<$?>> ", "PS2=<<more>> "}
}

func (c *conversation) open() *screen {
	k := &knows{unlock: unlockPhrase, presence: presencePhrase}
	if c.you != nil {
		k = c.you.knows
	}
	return c.openAt(c.top, k)
}

func (c *conversation) openAt(home string, k *knows) *screen {
	c.t.Helper()
	sh := exec.Command("sh", "-i")
	sh.Dir, sh.Env = c.dir, c.env(home)
	if c.uid != 0 {
		sh.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}}
	}
	s := &screen{c: c, knows: k, p: ptytest.Start(c.t, sh)}
	s.wait(c.t, "a shell")
	s.run(c.t, "stty -echo", 0)
	return s
}

func (c *conversation) agent() *screen {
	c.t.Helper()
	if c.bot == nil {
		c.bot = c.open()
	}
	return c.bot
}

// computer is another one, which has the folder of the work as a disk would bring
// it.
func (c *conversation) computer(name string) *screen {
	c.t.Helper()
	if c.away[name] == nil {
		home := filepath.Join(c.top, name)
		if err := os.Mkdir(home, 0o700); err != nil {
			c.t.Fatal(err)
		}
		k := *c.you.knows // of the vault that comes there
		c.away[name] = c.openAt(home, &k)
	}
	return c.away[name]
}

// stop ends the daemons; the shells have ended by now.
func (c *conversation) stop() {
	homes := []string{c.top}
	for name := range c.away {
		homes = append(homes, filepath.Join(c.top, name))
	}
	for _, home := range homes {
		r := command{Argv: []string{program("thumbturn"), "daemon", "stop"}, Env: c.env(home), Limit: 10 * time.Second, UID: c.uid}.run()
		if r.Code != 0 && !strings.Contains(r.Err, "not running") {
			c.t.Errorf("stopping the daemon: %v", r)
		}
	}
}

// filled puts what only this run knows into a guide's words.
func (c *conversation) filled(text string) string {
	return strings.NewReplacer("/mnt/usb", filepath.Join(c.top, "usb"), "/usr/local/bin/backup.sh", filepath.Join(c.top, "bin", "backup.sh"),
		"/srv/backup", c.dir, "REQUEST", c.request, "FINGERPRINT", c.root).Replace(text)
}

// answer is what a person types at a prompt. The longer ones come first.
func (k *knows) answer(prompt string) (string, bool) {
	switch {
	case strings.HasSuffix(prompt, "new unlock passphrase: "):
		k.unlock = k.next(k.unlock)
	case strings.HasSuffix(prompt, "new presence passphrase: "):
		k.presence = k.next(k.presence)
		k.again = true
	}
	for _, a := range []struct{ end, say string }{
		{"unlock passphrase: ", k.unlock}, {"unlock passphrase again: ", k.unlock},
		{"presence passphrase: ", k.presence}, {"presence passphrase again: ", k.presence},
		{"recovery code: ", k.code}, {"recovery code, or Enter: ", k.code}, {"[y/N] ", "y"},
		{"passphrase of the export: ", k.unlock}, {"passphrase again: ", k.unlock},
	} {
		if strings.HasSuffix(prompt, a.end) {
			return a.say, true
		}
	}
	return canary, strings.HasPrefix(prompt, "value of ")
}

var (
	atPrompt  = regexp.MustCompile(`<<([0-9]+|more)>> $`)
	waits     = regexp.MustCompile(`waiting for approval of request (\S+) \(`)
	request   = regexp.MustCompile(`(?m)^(?:please approve )?([a-z0-9]{26})\r?$`)
	rootKey   = regexp.MustCompile(`root key: +(\S+)`)
	paperCode = regexp.MustCompile(`(?m)^ *((?:[0-9a-z]{4}-){8}[0-9a-z]{2})\r?$`)
)

// run types one line and returns what it printed once the shell is back. A
// status other than the wanted one fails the test; -1 takes any.
func (s *screen) run(t *testing.T, line string, want int) string {
	t.Helper()
	s.p.Send(s.c.filled(line) + "\r")
	out, status := s.wait(t, line)
	if status >= 0 && want >= 0 && status != want {
		t.Fatalf("%q ended with status %d, not %d:\n%s", line, status, want, out)
	}
	if m := request.FindStringSubmatch(out); m != nil {
		s.c.request = m[1]
	}
	if m := rootKey.FindStringSubmatch(out); m != nil {
		s.c.root = m[1]
	}
	if m := paperCode.FindStringSubmatch(out); m != nil {
		s.knows.code = m[1]
	}
	return out
}

// wait answers until the shell asks for the next line, or for more of this one:
// then the status is -1.
func (s *screen) wait(t *testing.T, line string) (out string, status int) {
	t.Helper()
	seen, approved := s.at, map[string]bool{}
	for end := time.Now().Add(waitLong); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		all := s.p.Output()
		out = all[s.at:]
		if m := atPrompt.FindStringSubmatch(out); m != nil {
			s.at = len(all)
			if status = -1; m[1] != "more" {
				status, _ = strconv.Atoi(m[1])
			}
			return strings.TrimSuffix(out, m[0]), status
		}
		if len(all) == seen {
			continue
		}
		for _, m := range waits.FindAllStringSubmatch(all[s.at:], -1) {
			if id := m[1]; !approved[id] {
				approved[id] = true
				s.c.approve(t, id)
			}
		}
		prompt := all[seen:]
		if say, ok := s.knows.answer(prompt[strings.LastIndexByte(prompt, '\n')+1:]); ok {
			seen = len(all)
			s.p.Send(say + "\r")
		}
	}
	t.Fatalf("%q does not end:\n%s", line, out)
	return "", 0
}

// approve is what you do about a request that a command waits for.
func (c *conversation) approve(t *testing.T, id string) {
	t.Helper()
	if c.other == nil {
		c.other = c.open()
	}
	c.other.run(t, "thumbturn unlock", 0)
	c.other.run(t, "thumbturn approve "+id, 0)
}
