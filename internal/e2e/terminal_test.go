//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

// A real home, as a person makes and uses it: everything is typed.
func TestTerminal(t *testing.T) {
	t.Parallel()
	h := bare(t)
	if r := h.person("whoami"); strings.Contains(r.Out, "under agent") {
		t.Skip("*** SKIP: an agent runs these tests, and a real home refuses it")
	}
	shell := exec.Command("sh")
	shell.Env = append(h.env(), "PS1=ready> ")
	shell.Args = []string{"sh", "-i"}
	p := ptytest.Start(t, shell)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn init\r")
	for _, say := range []string{unlockPhrase, unlockPhrase, presencePhrase, presencePhrase} {
		p.Expect("passphrase", waitLong)
		p.Expect(": ", waitLong)
		p.Send(say + "\r")
	}
	p.Expect("written down? [y/N] ", waitLong)
	p.Send("y\r")
	made := p.Expect("ready> ", waitLong)
	if strings.Contains(made, presencePhrase) {
		t.Errorf("%q", made)
	}
	p.Send("thumbturn unlock\r")
	p.Expect("unlock passphrase: ", waitLong)
	p.Send("wrong\r")
	p.Expect("wrong unlock passphrase", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn unlock\r")
	p.Expect("unlock passphrase: ", waitLong)
	p.Send(unlockPhrase + "\r")
	p.Expect("unlocked", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn set op://dev/api/key\r")
	p.Expect("value of op://dev/api/key: ", waitLong)
	p.Send(canary + "\r")
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn whoami\r")
	p.Expect("person", waitLong)
	p.Expect("ready> ", waitLong)
	if strings.Contains(p.Output(), canary) {
		t.Error("a typed value was shown")
	}
	// Not in the session, no terminal, passphrases from files: all refused.
	wantCode(t, h.person("unlock", "--passphrase-file", h.file("unlock")), 3)
	wantCode(t, h.person("read", "--no-wait", "op://dev/api/key"), 3)
	wantCode(t, h.agent("read", "--no-wait", "op://dev/api/key"), 3)
	p.Send("thumbturn read --no-wait op://dev/api/key 2>/dev/null > " + h.file("id") + "; echo parked $?\r")
	p.Expect("parked 5", waitLong)
	b, err := os.ReadFile(h.file("id"))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(b))
	wantCode(t, h.person("approve", id, "--passphrase-file", h.file("presence")), 3)
	p.Send("thumbturn approve " + id + "\r")
	p.Expect("presence passphrase: ", waitLong)
	p.Send(presencePhrase + "\r")
	p.Expect("approved", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn read --request " + id + " op://dev/api/key\r")
	p.Expect(canary, waitLong)
	p.Expect("ready> ", waitLong)
	if _, err := exec.LookPath("setpriv"); err == nil {
		p.Send("setpriv --no-new-privs thumbturn read --no-wait op://dev/api/key; echo sandboxed $?\r")
		p.Expect("sandboxed 3", waitLong)
		p.Expect("ready> ", waitLong)
	}
	// Under an agent nobody unlocks or approves.
	// The client asks before the daemon refuses; whatever is typed is in vain.
	p.Send("CLAUDECODE=1 sh -c 'thumbturn unlock'; echo status $?\r")
	p.Expect("status $?", waitLong)
	time.Sleep(500 * time.Millisecond)
	p.Send(unlockPhrase + "\r")
	p.Expect("status 3", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn audit verify; thumbturn daemon stop; exit\r")
	p.Expect("everything agrees", waitLong)
	_ = p.Wait(waitLong)
}

// What run makes of a terminal, with both programs as they are shipped.
func TestRunAtTerminal(t *testing.T) {
	t.Parallel()
	h := founded(t)
	h.set("op://dev/api/key", canary)
	shell := exec.Command("sh", "-i")
	shell.Env = append(h.env(), "PS1=ready> ", "KEY=op://dev/api/key")
	p := ptytest.Start(t, shell)
	p.Expect("ready> ", waitLong)
	p.Send("thumbturn unlock --passphrase-file " + h.file("unlock") + "\r")
	p.Expect("unlocked", waitLong)
	p.Expect("ready> ", waitLong)
	p.Send(`thumbturn run -- sh -c 'test -t 0 && test -t 1 && test -t 2 && echo "here: $KEY"; read x; thumbturn whoami; cat /proc/$PPID/environ; exit 7'` + "\r")
	p.Expect("here: <concealed by Thumbturn>", waitLong)
	p.Send("\x1a")
	p.Expect("ready> ", waitLong)
	p.Send("fg\r")
	for end := time.Now().Add(waitLong); !p.Modes().IsRaw() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	p.Send("\r")
	p.Expect("agent", waitLong) // nobody unlocked that terminal
	p.Expect("ready> ", waitLong)
	p.Send("echo status $?\r")
	p.Expect("status 7", waitLong)
	p.Expect("ready> ", waitLong)
	if os.Getuid() != 0 && !strings.Contains(p.Output(), "Permission denied") {
		t.Error("the environment of the helper process can be read")
	}
	// Without masks it is a reading, which takes a gesture.
	p.Send("thumbturn run --no-wait --no-masking -- sh -c 'echo \"here: $KEY\"' 2>/dev/null >" + h.file("id") + "; echo status $?\r")
	p.Expect("status 5", waitLong)
	p.Expect("ready> ", waitLong)
	if strings.Contains(p.Output(), canary) {
		t.Error("a value was shown")
	}
	b, err := os.ReadFile(h.file("id"))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(b))
	h.ok("approve", id, "--passphrase-file", h.file("presence"))
	p.Send("thumbturn run --request " + id + " --no-masking -- sh -c 'echo \"here: $KEY\"'\r")
	p.Expect("here: "+canary, waitLong)
	wantCode(t, h.agent("run", "--no-wait", "--no-masking", "--env-file", h.write("env", "KEY=op://dev/api/key\n"), "--", "true"), 3)
	p.Send("exit\r")
	_ = p.Wait(waitLong)
}
