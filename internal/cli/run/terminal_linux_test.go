package run

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/mask"
	"github.com/thumbturn/thumbturn/internal/term/ptytest"
)

const wait = 20 * time.Second

func TestTerminal(t *testing.T) {
	s, env := oneSecret(t)
	p := ptytest.Start(t, command(t, s, env, "--", "sh", "-c",
		`test -t 0 && test -t 1 && test -t 2 && echo is a terminal; stty size; echo "[$TOKEN]"; grep -E 'Sig(Ign|Blk)' /proc/self/status; ls -l /proc/self/fd; echo ready; read x; echo "got $x"; exit 7`))
	p.Expect("is a terminal\r\n24 80\r\n["+mask.Replacement+"]\r\n", wait)
	p.Expect("ready\r\n", wait)
	p.Send("hello\r")
	p.Expect("got hello\r\n", wait)
	err := p.Wait(wait)
	fmt.Println(p.Output(), err)
	if strings.Contains(p.Output(), "hunter") {
		t.Error("shown")
	}
}
