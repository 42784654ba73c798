//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Guides are run as they are written. In README.md and docs/ a fenced block says
// by its first words what it is:
//
//	sh              typed at your terminal; each command ends with status 0, or
//	                with N where its comment says "status N"
//	sh agent        typed in a session that nobody unlocked
//	sh NAME         typed at another computer, called NAME
//	text            what the block before printed, in that order, among other
//	                things; … stands for anything
//	LANGUAGE file=F the content of the file F
//	LANGUAGE        to be read only
//
// What is asked for is typed, and what waits for approval is approved in another
// terminal (conversation). Of capitals that stand for something, REQUEST is the
// request left waiting last and FINGERPRINT the root key's. A block that cannot
// run here follows <!-- not run: why -->; maxNotRun bounds how many there are.
const maxNotRun = 12

type block struct {
	line   int
	info   []string // the words behind the fence
	text   []string
	notRun string // why
}

func (b block) is(words ...string) bool { return slices.Equal(b.info, words) }

// blocks takes a guide apart. Code that no fence marks would be run by nobody.
func blocks(t *testing.T, name string) []block {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []block
	var open *block
	why, blank := "", true
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		fence := strings.HasPrefix(line, "```")
		switch {
		case open != nil && fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text = append(open.text, line)
		case fence:
			open = &block{line: n, info: strings.Fields(line[3:]), notRun: why}
			why = ""
		case strings.HasPrefix(line, "<!-- not run: "):
			why = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- not run: "), " -->")
		case blank && strings.HasPrefix(line, "    "), strings.Contains(line, "```"):
			t.Errorf("%s:%d: a block without a fence at the start of the line", name, n)
		}
		blank = line == ""
	}
	if err := scan.Err(); err != nil || open != nil {
		t.Fatalf("%s: %v, open: %v", name, err, open)
	}
	return out
}

// before is what the reader of a guide has already, as shell commands. All have
// an account, unlocked, but the readers of the two that begin without one.
var before = map[string]string{
	"agents.md": `printf '#!/bin/sh\nexit 0\n' > deploy.sh; printf '#!/bin/sh\necho a-new-key\n' > make-key; chmod 700 deploy.sh make-key
echo a-token | thumbturn set op://dev/github/token`,
	"items.md": `printf 'a key' > key.pem; head -c 18000000 /dev/urandom > disk.img; thumbturn item create --vault dev --title mail 'seed[otp]=otpauth://totp/x?secret=JBSWY3DPEHPK3PXP'
printf -- '-----BEGIN %s-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END %s-----\n' 'PRIVATE KEY' 'PRIVATE KEY' | thumbturn set 'op://dev/deploy/private key'`,
	"lock.md":   `printf '#!/bin/sh\nexit 0\n' > deploy.sh; chmod 700 deploy.sh`,
	"policy.md": `echo a-token | thumbturn set op://dev/github/token`,
	"project.md": `mkdir backend; printf 'test:\n\ttest -n "$$DATABASE_URL"\n' > backend/Makefile; printf '#!/bin/sh\nexit 0\n' > serve; chmod 700 serve
echo a-token | thumbturn set op://dev/github/token
thumbturn item create --vault dev --title 'staging db' 'user=ada' 'password[password]=x-example-4711'`,
	"backup.md": `echo a-token | thumbturn set op://dev/github/token`,
	"grants.md": `printf '#!/bin/sh\ntest -n "$DB_PASSWORD"\n' > $PROGRAMS/backup.sh; printf '#!/bin/sh\ntest -n "$TOKEN"\n' > test.sh; chmod 700 test.sh $PROGRAMS/*
echo a-password | thumbturn set op://dev/db/password; echo a-token | thumbturn set op://dev/github/token`,
	"audit.md": `echo a-token | thumbturn set op://dev/github/token
setsid -w thumbturn read op://dev/github/token; true
TOKEN=op://dev/github/token thumbturn run -- true`,
	"README.md": `printf '#!/bin/sh\nexit 0\n' > deploy.sh; cp deploy.sh $PROGRAMS/backup.sh; chmod 700 deploy.sh $PROGRAMS/backup.sh`,
}

var fresh = []string{"README.md", "install.md"}

func TestGuides(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 10 {
		t.Fatalf("%v, %v", names, err)
	}
	var notRun []string
	for _, name := range append(names, "../../README.md") {
		base := filepath.Base(name)
		all := blocks(t, name)
		ran := 0
		for _, b := range all {
			if b.notRun != "" {
				notRun = append(notRun, fmt.Sprintf("%s:%d: not run: %s", base, b.line, b.notRun))
			} else if len(b.info) > 0 && b.info[0] == "sh" {
				ran++
			}
		}
		if ran == 0 {
			t.Errorf("%s: matched nothing: no block is run", base)
		}
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			guide(t, base, all)
		})
	}
	for _, line := range notRun {
		t.Log(line)
	}
	if len(notRun) > maxNotRun {
		t.Errorf("%d blocks are not run, more than %d", len(notRun), maxNotRun)
	}
}

// guide runs one guide in a home of its own.
func guide(t *testing.T, name string, all []block) {
	c := converse(t)
	if !slices.Contains(fresh, name) {
		c.you.run(t, "thumbturn init", 0)
		c.you.run(t, "thumbturn unlock", 0)
	}
	for line := range strings.Lines(before[name]) {
		c.you.run(t, strings.TrimSuffix(line, "\n"), 0)
	}
	printed, ran := "", false
	for _, b := range all {
		at := fmt.Sprintf("%s:%d", name, b.line)
		file, isFile := "", len(b.info) == 2
		if isFile {
			file, isFile = strings.CutPrefix(b.info[1], "file=")
		}
		switch {
		case b.notRun != "":
			ran = false
		case b.is("sh"):
			printed, ran = c.you.runAll(t, at, b.text), true
		case b.is("sh", "agent"):
			printed, ran = c.agent().runAll(t, at, b.text), true
		case len(b.info) == 2 && b.info[0] == "sh":
			printed, ran = c.computer(b.info[1]).runAll(t, at, b.text), true
		case b.is("text"):
			if bad := unprinted(strings.Split(c.filled(strings.Join(b.text, "\n")), "\n"), printed); ran && bad != "" {
				t.Errorf("%s: %q is not what was printed:\n%s", at, bad, printed)
			}
		case isFile:
			if err := os.WriteFile(filepath.Join(c.dir, file), []byte(c.filled(strings.Join(b.text, "\n")+"\n")), 0o600); err != nil {
				t.Fatal(err)
			}
		case len(b.info) != 1:
			t.Errorf("%s: a block of no known kind: %q", at, b.info)
		}
	}
}

var statusWanted = regexp.MustCompile(`#.*\bstatus ([0-9]+)`)

// runAll types the lines of a block and returns what they print.
func (s *screen) runAll(t *testing.T, at string, lines []string) string {
	t.Helper()
	var out strings.Builder
	for i, line := range lines {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		want := 0
		if m := statusWanted.FindStringSubmatch(line); m != nil {
			fmt.Sscan(m[1], &want)
		}
		t.Logf("%s+%d: %s", at, i+1, line)
		out.WriteString(s.run(t, line, want))
	}
	return out.String()
}

// unprinted returns the first line that was not printed in its turn. Spaces
// around a line and their number in it do not count.
func unprinted(want []string, printed string) string {
	var got []string
	for g := range strings.SplitSeq(strings.ReplaceAll(printed, "\r", ""), "\n") {
		if last := len(got) - 1; last >= 0 && labelled.MatchString(got[last]) && strings.HasPrefix(g, margin) {
			got[last] += g[len(margin):] // the line was folded to the terminal's width
			continue
		}
		got = append(got, g)
	}
	for _, w := range want {
		w = strings.Join(strings.Fields(w), " ")
		if w == "" || w == "…" {
			continue
		}
		form := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(w), "…", ".*") + "$")
		i := slices.IndexFunc(got, func(g string) bool { return form.MatchString(strings.Join(strings.Fields(g), " ")) })
		if i < 0 {
			return w
		}
		got = got[i+1:]
	}
	return ""
}

// labelled is a line of an approval; what goes on below its text stands in as far as that.
var labelled = regexp.MustCompile(`^  [a-z LEAS]{1,11}: +\S`)

const margin = "               "

func TestUnprinted(t *testing.T) {
	t.Parallel()
	const printed = "code: 27kc-fh3w (the same)\r\n\r\n  uses:        1 \r\n               and a \r\n               half\r\nlast"
	for want, bad := range map[string]string{
		"code: … (the same)\nuses: 1 and a half": "", "…\n\nlast": "", "uses: 2": "uses: 2", "uses:": "uses:",
		"last\nuses: 1 …": "uses: 1 …", "code: . (the same)": "code: . (the same)",
	} {
		if got := unprinted(strings.Split(want, "\n"), printed); got != bad {
			t.Errorf("%q: %q, want %q", want, got, bad)
		}
	}
	if got := unprinted([]string{"said"}, ""); got != "said" {
		t.Errorf("nothing was printed: %q", got)
	}
}
