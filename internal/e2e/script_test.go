//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/thumbturn/thumbturn/api"
)

// TestScripts runs testdata/script, each file in a home of its own. Beside the
// usual commands there are
//
//	tt STATUS ARG...        thumbturn in the person's shell must end with STATUS
//	agent STATUS ARG...     the same in a session of its own
//	in STATUS FILE ARG...   tt with standard input from FILE
//	agentin STATUS FILE ARG...  the same for agent
//	found                   make the account
//	id NAME, save FILE      what the last command printed, into a variable or file
//	root NAME               the fingerprint of the root key
func TestScripts(t *testing.T) {
	t.Parallel()
	type keeper struct{ last string }
	of := func(ts *testscript.TestScript) (*home, *keeper) {
		return ts.Value("home").(*home), ts.Value("last").(*keeper)
	}
	run := func(ts *testscript.TestScript, neg, agent bool, stdin string, args []string) {
		h, k := of(ts)
		if neg || len(args) < 1 {
			ts.Fatalf("usage: tt STATUS ARG...")
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		r := h.do(command{Argv: append([]string{program("thumbturn")}, args[1:]...), Dir: ts.MkAbs("."), Stdin: []byte(stdin), Setsid: agent})
		k.last = r.Out
		fmt.Fprint(ts.Stdout(), r.Out)
		fmt.Fprint(ts.Stderr(), r.Err)
		if r.Code != want {
			ts.Fatalf("exit %d, want %d: %v\n%v", r.Code, want, args[1:], r)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			h := bare(t)
			env.Defer(h.stop)
			env.Values["home"], env.Values["last"] = h, &keeper{}
			env.Setenv("HOMES", strings.TrimSuffix(h.dir, "/h"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tt":    func(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, false, "", args) },
			"agent": func(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, true, "", args) },
			"in": func(ts *testscript.TestScript, neg bool, args []string) {
				run(ts, neg, false, ts.ReadFile(args[1]), append(args[:1:1], args[2:]...))
			},
			"agentin": func(ts *testscript.TestScript, neg bool, args []string) {
				run(ts, neg, true, ts.ReadFile(args[1]), append(args[:1:1], args[2:]...))
			},
			"found": func(ts *testscript.TestScript, neg bool, _ []string) {
				h, _ := of(ts)
				run(ts, neg, false, "", []string{"0", "init", "--test-home", "--passphrase-file", h.file("unlock"),
					"--presence-passphrase-file", h.file("presence"), "--recovery-file", h.file("recovery")})
			},
			"id": func(ts *testscript.TestScript, _ bool, args []string) {
				_, k := of(ts)
				ts.Setenv(args[0], strings.TrimSpace(k.last))
			},
			"save": func(ts *testscript.TestScript, _ bool, args []string) {
				_, k := of(ts)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(k.last), 0o600))
			},
			"root": func(ts *testscript.TestScript, _ bool, args []string) {
				h, _ := of(ts)
				var s api.Status
				ts.Check(json.Unmarshal([]byte(h.person("status", "--format", "json").Out), &s))
				ts.Setenv(args[0], s.Root)
			},
		},
	})
}
