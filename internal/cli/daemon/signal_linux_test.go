package daemon

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/cli/internal/console"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

// Nothing is signalled that is no thumbturnd: here it would be this test.
func TestSignalSparesOthers(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message { return nil })
	o := Options{Console: &console.Console{Home: func() (api.Home, error) { return s.Home, nil }}}
	pid, err := o.signal(context.Background())
	if pid != 0 || !fault.Is(err, fault.Denied) {
		t.Errorf("%d, %v", pid, err)
	}
}

func TestName(t *testing.T) {
	c := exec.Command("sleep", "10")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	if got := name(c.Process.Pid); got != "sleep" {
		t.Errorf("%q", got)
	}
	if name(0) != "" || name(os.Getpid()) == program {
		t.Error("a name that nobody has")
	}
}
