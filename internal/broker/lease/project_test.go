package lease

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/broker/internal/gate"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
)

// The files that are kept are few: the oldest of a session goes for its ninth, and the
// oldest of all for the 65th. Those of a session that ended go first.
func TestFilesAreFew(t *testing.T) {
	t.Parallel()
	src, err := identity.Kernel()
	if err != nil {
		t.Skipf("SKIP: no evidence on this platform: %v", err)
	}
	me, err := src.Pulse(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	root := identity.Root{PID: os.Getpid(), Start: me.Start, BootID: src.Self().BootID}
	k := New(&gate.Gate{Who: identity.New(src, identity.Options{})})
	put := func(owner, path string, root identity.Root) {
		k.keep(approved{owner, root, path, canon.ProjectDigest([]byte(path)), []byte(path)})
	}
	kept := func() (out []string) {
		k.forget()
		for _, a := range k.files {
			out = append(out, a.owner+a.path)
		}
		return out
	}
	for i := range maxMine + 1 {
		put("a", fmt.Sprint(i), root)
	}
	put("a", "3", root)
	put("b", "1", root)
	want := []string{"a1", "a2", "a4", "a5", "a6", "a7", "a8", "a3", "b1"}
	if diff := cmp.Diff(want, kept()); diff != "" {
		t.Error(diff)
	}
	for i := range maxFiles - len(want) + 1 {
		put(fmt.Sprint("s", i), "", root)
	}
	if all := kept(); len(all) != maxFiles || all[0] != "a2" {
		t.Errorf("%d, %q", len(all), all[0])
	}
	if _, ok := k.approved("a", "1"); ok {
		t.Error("one that went is still there")
	}
	if a, ok := k.approved("b", "1"); !ok || string(a.text) != "1" {
		t.Errorf("%+v", a)
	}
	gone := root
	gone.Start++
	k.EndAll()
	put("c", "1", gone)
	if all := kept(); len(all) != 0 {
		t.Errorf("of a session that ended: %q", all)
	}
}

// What looks like a credential is not recorded, and is seen to be there.
func TestRecordedDifference(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`+ KEY = "op://dev/api/key"`:                   `+ KEY = "op://dev/api/key"`,
		`- URL = "https://api.example.com"`:            `- URL = "https://api.example.com"`,
		`+ URL = "https://me:hunter2@api.example.com"`: `+ URL = "https://me:[concealed]@api.example.com"`,
		`+ KEY = "ghp_0123456789012345678901234"`:      `+ KEY = "[concealed]"`,
		"| " + strings.Repeat("MIIEvQ", 10):            "| [concealed]",
		"+   " + strings.Repeat("MIIEvQ", 10) + "=":    "+ [concealed]",
		"- " + strings.Repeat("MIIEvQ", 5):             "- " + strings.Repeat("MIIEvQ", 5),
		"+ # " + strings.Repeat("word ", 20):           "+ # " + strings.Repeat("word ", 20),
	} {
		if got := recorded(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
