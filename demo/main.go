// Command demo shows what Thumbturn is for, in a minute and without risk: a
// scripted agent with poisoned instructions does the same task twice, without
// Thumbturn and with it, and then somebody spoils the database. Everything is
// real (daemon, programs, curl, an HTTPS API) but lives in a temporary home and
// on the loopback network. "make demo" runs it; the status is not 0 if any step
// fails to show what it claims.
//
// Where there is a Chromium, the person approves on the page with a passkey whose
// authenticator is made of software; elsewhere, and where the browser does not do
// what it should, at the terminal with the presence passphrase. It says which.
//
// The program has three roles. The director, which a person starts, tells the
// story and checks it. The person and the agent are this program again, each
// the leader of a session of its own, because that is what the daemon tells
// them apart by; so it does not matter who or what starts the director.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	roleAgent  = "role:agent"
	rolePerson = "role:person"

	// limit bounds the story, a build apart; it takes a few seconds, with a browser
	// some more.
	limit = 2 * time.Minute
)

func main() { os.Exit(start(os.Args[1:])) }

func start(args []string) int {
	if len(args) > 0 {
		switch args[0] {
		case rolePerson:
			return person(os.Stdin, os.Stdout)
		case roleAgent:
			return agent(args[1:], os.Stdout)
		}
	}
	flags := flag.NewFlagSet("demo", flag.ExitOnError)
	bin := flags.String("bin", "", "the `DIR` with thumbturn and thumbturnd; without it bin/ of the repository, or a fresh build")
	_ = flags.Parse(args) // it exits where it fails
	if runtime.GOOS != "linux" {
		fmt.Fprintln(os.Stderr, "demo: it runs on Linux only for now, where the daemon can tell a person's session from an agent's")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := direct(ctx, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}
