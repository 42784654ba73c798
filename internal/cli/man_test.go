//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command has a page, and no page has a mistake that groff knows of.
func TestMan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "share", "man1")
	for range 2 { // the second time replaces
		if got := runCLI(t, nil, nil, "", "man", "--out", dir); got != (result{}) {
			t.Fatalf("%+v", got)
		}
	}
	left := map[string]bool{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		left[f.Name()] = true
	}
	everyCommand(t, func(cmd *cobra.Command) {
		if cmd.Name() == "help" {
			return
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			return
		}
		delete(left, name)
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"} {
			if !strings.Contains(string(b), "\n.SH "+section+"\n") {
				t.Errorf("%s lacks %s", name, section)
			}
		}
	})
	for name := range left {
		t.Errorf("%s belongs to no command", name)
	}

	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Log("SKIPPED: groff is not installed, and the pages were not tried")
		return
	}
	for _, f := range files {
		out, err := exec.Command(groff, "-man", "-Tutf8", "-ww", "-rCHECKSTYLE=3", "-z", filepath.Join(dir, f.Name())).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", f.Name(), err, out)
		}
	}
}
