package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCredential(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"X", "sk_live_abcdefgh1234", true},
		{"X", "ghp_abcdefghijklmnopqrstuvwx", true},
		{"X", "AKIAABCDEFGHIJKLMNOP", true},
		{"X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", true},
		{"X", "-----BEGIN RSA PRIVATE KEY-----\nabc", true},
		{"DATABASE_URL", "postgres://u:hunter2@h/db", true},
		{"DATABASE_URL", "postgres://u@h/db", false},
		{"DATABASE_URL", "postgres://u:$PASS@h/db", false},
		{"API_TOKEN", "Zx81kd92mmcQ", true},
		{"DB_PASSWORD", "correcthorse", true},
		{"GITHUBTOKEN", "Zx81kd92mmcQ", true},
		{"aws_secret_access_key", "Zx81kd92mmcQ", true},
		{"API_TOKEN", "op://a/b/c", false},
		{"API_TOKEN", "short", false},
		{"API_TOKEN", "your-token-here", false},
		{"API_TOKEN", "<your token>", false},
		{"API_TOKEN", "changeme-please", false},
		{"API_TOKEN", "${OTHER_TOKEN}", false},
		{"API_TOKEN", "xxxxxxxxxxxx", false},
		{"TOKEN_FILE", "/run/secrets/token", false},
		{"TOKEN_TTL", "1234567890", false},
		{"SSH_AUTH_SOCK", "/tmp/ssh-x/agent.1", false},
		{"SECRET_BACKEND", "C:\\keys\\vault", false},
		{"TOKENIZERS_PARALLELISM", "falsefalse", false},
		{"PATH", "/usr/local/bin:/usr/bin", false},
		{"KEYBOARD", "us-international", false},
		{"AUTHOR", "Somebody-Else", false},
		{"COMPASS", "northnorthwest", false},
	} {
		if got := newGuess().credential(tt.name, tt.value); got != tt.want {
			t.Errorf("%s=%s: %v", tt.name, tt.value, got)
		}
	}
}

func TestLoose(t *testing.T) {
	const value = "ghp_abcdefghijklmnopqrstuvwx"
	dir := t.TempDir()
	for name, text := range map[string]string{
		".env":         "# comment\nTOKEN='" + value + "'\nREF=op://a/b/c\nMULTI=\"a\nb\"\nURL=https://u:" + value + "@h\n",
		".env.example": "TOKEN=your-token-here\n",
		".env.local":   "A=1",
		"prod.env":     "X=" + value,
		".envrc":       "use flake\nexport TOKEN=\"" + value + "\"\n",
		"notes.txt":    value,
		".environment": value,
		"big.env":      strings.Repeat("#", maxLoose+1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "venv.env"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: func() (string, error) { return dir, nil }}
	var got []string
	for _, f := range o.loose() {
		got = append(got, f.State.String()+" "+f.Text)
	}
	const says = " looks like holding plaintext credentials: "
	want := []string{"warning .env" + says + "line 2 (TOKEN), line 6 (URL)", "warning .envrc" + says + "line 2",
		"warning big.env cannot be read", "warning prod.env" + says + "line 1 (X)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o.Dir = func() (string, error) { return t.TempDir(), nil }
	if got := o.loose(); len(got) != 1 || got[0].State != OK {
		t.Errorf("an empty folder: %v", got)
	}
}

// Whatever a file holds, what is said of it repeats no value of it.
func FuzzLoose(f *testing.F) {
	const canary = "sk_live_canary4242fox"
	for _, s := range []string{"A=%s", "%s=%[1]s", "export A='%s", "A=\"x\n%s\"", "%s", "A_%s=1", "A_TOKEN_%s=Zx81kd92mmcQ", "B%s_TOKEN=Zx81kd92mmcQ", "=%s", "\x00%s", "TOKEN=%s # %[1]s", "A=${%s}"} {
		f.Add(s)
	}
	dir, g := f.TempDir(), newGuess()
	f.Fuzz(func(t *testing.T, pattern string) {
		path := filepath.Join(dir, fmt.Sprint(len(pattern), ".env"))
		text := strings.NewReplacer("%s", canary, "%[1]s", canary).Replace(pattern)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, found := range g.look(path, "x.env") {
			if strings.Contains(found.Text+found.Hint, "canary4242") {
				t.Errorf("%q: %q", text, found.Text)
			}
		}
	})
}
