//go:build unix

package run

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/sdk/sdktest"
)

func TestNoMasking(t *testing.T) {
	s, env := oneSecret(t)
	cmd := command(t, s, env, "--no-masking", "--", "sh", "-c", `echo "$$ $TOKEN"; exit 3`)
	out, _ := cmd.Output()
	if want := fmt.Sprintf("%d hunter2-hunter2\n", cmd.Process.Pid); string(out) != want || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%q, want %q; %v", out, want, cmd.ProcessState)
	}
	w := want(t, s)
	if diff := cmp.Diff([]string{"op://v/i/f"}, w.Refs); diff != "" || w.Sink != "reveal" || w.Program.Hash == "" {
		t.Errorf("%s %+v", diff, w)
	}
}

func TestNoMaskingRefused(t *testing.T) {
	s := sdktest.Start(t, func(sdktest.Call) []sdktest.Message {
		return []sdktest.Message{{Error: &api.Error{Kind: "denied", Op: "release", Msg: "agents do not read"}}}
	})
	if r := thumbturn(t, s, []string{"A=op://v/i/f"}, "--no-masking", "--", "echo", "started"); r.code() != 3 || r.out != "" {
		t.Errorf("%v %q %q", r.state, r.out, r.err)
	}
	s, env := oneSecret(t)
	agent := write(t, "claude", "#!/bin/sh\necho started\n", 0o755)
	r := thumbturn(t, s, env, "--no-masking", "--", agent)
	if r.code() != 2 || r.out != "" || !strings.Contains(r.err, "claude is an agent") || len(s.Calls()) != 0 {
		t.Errorf("%v %q %q", r.state, r.out, r.err)
	}
}
