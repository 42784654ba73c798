package console

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/api"
	"github.com/thumbturn/thumbturn/internal/fault"
)

func TestFail(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		human string
		json  string
		code  int
	}{
		{"none", nil, "", "", 0},
		{"plain", errors.New("broken pipe"), "thumbturn: broken pipe\n",
			`{"error":{"kind":"unavailable","msg":"broken pipe"}}` + "\n", 1},
		{"a defect", &api.Error{Msg: "internal error"}, "thumbturn: internal error\n",
			`{"error":{"kind":"internal","msg":"internal error"}}` + "\n", 1},
		{"from the daemon", &api.Error{Kind: "denied", Op: "read", Ref: "op://a/b/c", Msg: "not for agents", Hint: "use run"},
			"thumbturn: read op://a/b/c: not for agents\nhint: use run\n",
			`{"error":{"kind":"denied","op":"read","ref":"op://a/b/c","msg":"not for agents","hint":"use run"}}` + "\n", 3},
		{"wrapped", fault.Wrap(fault.Unavailable, "write", "f", errors.New("no space")),
			"thumbturn: write f: no space\n",
			`{"error":{"kind":"unavailable","op":"write","ref":"f","msg":"no space"}}` + "\n", 1},
		{"locked has a hint", &api.Error{Kind: "locked", Msg: "locked"},
			"thumbturn: locked\nhint: unlock with: thumbturn unlock\n",
			`{"error":{"kind":"locked","msg":"locked"}}` + "\n", 4},
		{"pending", &api.Error{Kind: "pending", Ref: "r"}, "thumbturn: r\n",
			`{"error":{"kind":"pending","ref":"r"}}` + "\n", 5},
		{"passphrase", &api.Error{Kind: "passphrase", Msg: "wrong"}, "thumbturn: wrong\n",
			`{"error":{"kind":"passphrase","msg":"wrong"}}` + "\n", 3},
		{"terminal sequences", &api.Error{Kind: "usage", Msg: "a\x1b]0;x\x07b"}, "thumbturn: a\\u{1b}]0;x\\u{7}b\n",
			`{"error":{"kind":"usage","msg":"a\u001b]0;x\u0007b"}}` + "\n", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var human, js bytes.Buffer
			if code := Fail(&human, false, tt.err); code != tt.code {
				t.Errorf("status %d, want %d", code, tt.code)
			}
			if code := Fail(&js, true, tt.err); code != tt.code {
				t.Errorf("JSON status %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(tt.human, human.String()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.json, js.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParked(t *testing.T) {
	var out, errs bytes.Buffer
	c := &Console{Out: &out, Err: &errs}
	c.Waiting(api.Waiting{Finger: "now the \x1bfinger"})
	c.Waiting(api.Waiting{Request: "r1", Code: "k3f9-2xq7"})
	c.Waiting(api.Waiting{Request: "r1", Code: "k3f9-2xq7"})
	want := "now the \\u{1b}finger\nwaiting for approval of request r1 (code k3f9-2xq7)\nhint: approve it with: thumbturn approve r1\n"
	if diff := cmp.Diff(want, errs.String()); diff != "" {
		t.Error(diff)
	}
	err := c.Parked(&api.Error{Kind: "pending", Msg: "waits"})
	if out.String() != "r1\n" || fault.ExitCode(err) != 5 || !strings.Contains(Fault(err).Hint, "--request r1") {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	c.Format = "json"
	err = c.Parked(&api.Error{Kind: "pending", Ref: "r2"})
	if out.String() != "{\n  \"request\": \"r2\"\n}\n" || Fault(err).Kind != fault.Pending {
		t.Errorf("%q, %v", out.String(), err)
	}
	other := errors.New("x")
	if got := c.Parked(other); got != other || c.Parked(nil) != nil {
		t.Errorf("got %v", got)
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := map[string]string{"a\n": "a", "a": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a "}
	for text, want := range good {
		got, err := SecretFile(write("good", text, 0o600))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	bad := []string{dir, filepath.Join(dir, "none"), write("empty", "\n", 0o600), write("long", strings.Repeat("a", 5000), 0o600)}
	if runtime.GOOS != "windows" {
		bad = append(bad, write("open", "a", 0o640))
		link := filepath.Join(dir, "link")
		if err := os.Symlink(write("to", "a", 0o600), link); err != nil {
			t.Fatal(err)
		}
		bad = append(bad, link)
	}
	for _, p := range bad {
		if _, err := SecretFile(p); err == nil {
			t.Errorf("%s passed", p)
		}
	}
}

func TestReadAllGrows(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 50_000)
	got, err := readAll(bytes.NewReader(big), 50_000)
	if err != nil || !bytes.Equal(got, big) {
		t.Error(len(got), err)
	}
	if _, err := readAll(bytes.NewReader(big), 49_999); err == nil {
		t.Error("the limit did not hold")
	}
}

// nobody is a Prompter without a terminal.
type nobody struct{ Prompter }

func (nobody) IsTerminal() bool { return false }

func TestWriteFile(t *testing.T) {
	c := &Console{Prompt: nobody{}}
	dir := t.TempDir()
	p := filepath.Join(dir, "f")
	if err := c.WriteFile(p, []byte("a"), 0o600, false); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteFile(p, []byte("b"), 0o600, false); fault.KindOf(err) != fault.Exists {
		t.Errorf("replaced without leave: %v", err)
	}
	if err := c.WriteFile(p, []byte("b"), 0o640, true); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p)
	if err != nil || string(b) != "b" {
		t.Errorf("%q, %v", b, err)
	}
	if fi, err := os.Stat(p); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o640 {
		t.Error(fi.Mode(), err)
	}
	if err := c.WriteFile(dir, nil, 0o600, true); err == nil {
		t.Error("replaced a folder")
	}
	if err := c.WriteFile(filepath.Join(dir, "no", "f"), nil, 0o600, true); err == nil {
		t.Error("wrote into no folder")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestConfirm(t *testing.T) {
	c := &Console{Prompt: nobody{}}
	if err := c.Confirm("sure?"); fault.KindOf(err) != fault.Usage {
		t.Errorf("got %v", err)
	}
	c.Yes = true
	if err := c.Confirm("sure?"); err != nil {
		t.Error(err)
	}
}

func TestAskFlags(t *testing.T) {
	var a api.Ask
	if err := AskFlags(&a).Parse([]string{"--no-wait", "--request", "r", "--purpose", "p", "--timeout", "90s"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(api.Ask{NoWait: true, Request: "r", Purpose: "p", Timeout: 90_000}, a); diff != "" {
		t.Error(diff)
	}
	if err := (*millis)(&a.Timeout).Set("10ms"); err == nil {
		t.Error("10ms passed")
	}
}
