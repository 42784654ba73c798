package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/proof"
)

func TestReport(t *testing.T) {
	l := newLog()
	l.testHome = true
	l.fill(3)
	root := canon.RootFingerprint(l.root.Public().(ed25519.PublicKey))
	want := proof.Report{
		Statements: 8, Events: 3, Root: root, Device: l.name, DeviceKey: l.device.Public().(ed25519.PublicKey),
		TestHome: true, Head: l.head(8, 3), TrustedBecause: proof.TrustItself,
	}
	got, err := proof.Verify(bytes.NewReader(l.export()), proof.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, c := range []struct {
		name   string
		o      proof.Options
		anchor []byte
		trust  string
	}{
		{"root", proof.Options{Root: (*[32]byte)(&root)}, nil, proof.TrustRoot},
		{"anchor", proof.Options{}, l.anchor(4, 1), proof.TrustAnchor},
		{"root and anchor", proof.Options{Root: (*[32]byte)(&root)}, l.anchor(4, 1), proof.TrustRoot},
		{"an anchor of nothing proves no genesis", proof.Options{}, l.anchor(0, 0), proof.TrustItself},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func() (proof.Report, error) { return proof.Verify(bytes.NewReader(l.export()), c.o) }
			if c.anchor != nil {
				check = func() (proof.Report, error) { return proof.Since(bytes.NewReader(l.export()), c.anchor, c.o) }
			}
			if r, err := check(); err != nil || r.TrustedBecause != c.trust {
				t.Errorf("%q, %v; want %q", r.TrustedBecause, err, c.trust)
			}
		})
	}
}

func TestFailureReportsNothing(t *testing.T) {
	b := sample(3).export()
	r, err := proof.Verify(bytes.NewReader(b[:len(b)-1]), proof.Options{})
	if d := cmp.Diff(proof.Report{}, r); err == nil || d != "" {
		t.Error(err, d)
	}
	if _, err := proof.Since(bytes.NewReader(b), nil, proof.Options{}); class(err) != "format" {
		t.Errorf("an empty anchor: %v", err)
	}
}

func TestReaderError(t *testing.T) {
	broken := errors.New("disk")
	b := sample(3).export()
	for _, n := range []int{0, 40, len(b) / 2, len(b)} {
		_, err := proof.Verify(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)), proof.Options{})
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if _, err := proof.Verify(iotest.OneByteReader(bytes.NewReader(b)), proof.Options{}); err != nil {
		t.Error(err)
	}
}

func TestLongLine(t *testing.T) {
	_, err := proof.Verify(io.LimitReader(zeros{}, 64<<20), proof.Options{})
	want(t, err, "format")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestEveryPartIsCovered flips a bit at many places of each kind of file.
func TestEveryPartIsCovered(t *testing.T) {
	l := sample(2)
	export, anchor, receipt := l.export(), l.anchor(4, 1), []byte(marshal(l.receipt(1)))
	step := 11
	if testing.Short() {
		step = 101
	}
	for name, c := range map[string]struct {
		b     []byte
		check func([]byte) error
	}{
		"export": {export, func(b []byte) error { _, err := proof.Verify(bytes.NewReader(b), proof.Options{}); return err }},
		"anchor": {anchor, func(b []byte) error { _, err := proof.Anchor(b); return err }},
		"proof":  {receipt, func(b []byte) error { _, err := proof.Receipt(b, nil); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.check(c.b); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(c.b); i += step {
				b := bytes.Clone(c.b)
				b[i] ^= 1 << (i % 8)
				if c.check(b) == nil {
					t.Fatalf("a flipped bit at byte %d went unseen: %q", i, b[max(0, i-20):min(len(b), i+20)])
				}
			}
		})
	}
}

// TestEveryCut cuts an export after each of its lines, and in the middle.
func TestEveryCut(t *testing.T) {
	lines := sample(5).lines()
	for n := range len(lines) {
		_, err := proof.Verify(bytes.NewReader(file(lines[:n])), proof.Options{})
		if c := map[bool]string{true: "format", false: "count"}[n == 0]; class(err) != c {
			t.Errorf("%d lines: %v", n, err)
		}
		half := file(lines[:n+1])
		_, err = proof.Verify(bytes.NewReader(half[:len(half)-len(lines[n])/2]), proof.Options{})
		want(t, err, "format")
	}
}

// TestTreeSizes holds both implementations of the tree against each other:
// every size, every event, every anchor.
func TestTreeSizes(t *testing.T) {
	for n := range 20 {
		l := sample(n)
		if _, err := proof.Verify(bytes.NewReader(l.export()), proof.Options{}); err != nil {
			t.Fatalf("%d events: %v", n, err)
		}
		for i := range n {
			if e, err := proof.Receipt([]byte(marshal(l.receipt(i))), nil); err != nil || e.N != int64(i) || !bytes.Equal(e.Body, l.events[i].body) {
				t.Errorf("event %d of %d: %v", i, n, err)
			}
		}
		for i := range n + 1 {
			r, err := proof.Since(bytes.NewReader(l.export()), l.anchor(min(i, 8), i), proof.Options{})
			if err != nil || r.Events != int64(n) {
				t.Errorf("anchor at %d of %d: %v", i, n, err)
			}
		}
	}
}

// TestForkedAnchors changes one event: exactly the anchors behind it see that.
func TestForkedAnchors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "events")
		at := rapid.IntRange(0, n-1).Draw(t, "changed")
		anchored := rapid.IntRange(0, n).Draw(t, "anchored")
		old, forked := sample(n), sample(n)
		forked.events[at].body = []byte(`{"v":1}`)
		_, err := proof.Since(bytes.NewReader(forked.export()), old.anchor(8, anchored), proof.Options{})
		if c := map[bool]string{true: "anchor", false: "ok"}[anchored > at]; class(err) != c {
			t.Fatalf("want %s: %v", c, err)
		}
	})
}

func TestReceiptTrust(t *testing.T) {
	l := sample(4)
	b := []byte(marshal(l.receipt(2)))
	for _, c := range []struct {
		key   []byte
		trust string
	}{{nil, proof.TrustFile}, {l.device.Public().(ed25519.PublicKey), proof.TrustKey}} {
		if e, err := proof.Receipt(append(b, '\n'), c.key); err != nil || e.TrustedBecause != c.trust {
			t.Errorf("%q %v", e.TrustedBecause, err)
		}
	}
	_, err := proof.Receipt(b, []byte{})
	want(t, err, "head") // an empty key is a key, and not this one
}

func TestParseFingerprint(t *testing.T) {
	l := sample(0)
	if got, err := proof.ParseFingerprint(l.fingerprint()); err != nil || *got != proof.Fingerprint(l.root.Public().(ed25519.PublicKey)) {
		t.Error(got, err)
	}
	for _, s := range []string{"", "00", strings.Repeat("A", 64), strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		_, err := proof.ParseFingerprint(s)
		want(t, err, "format")
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		e    proof.Error
		want string
	}{
		{proof.Error{Class: proof.Leaf, At: "event 3", Msg: "m"}, "proof: leaf: event 3: m"},
		{proof.Error{Class: proof.Leaf, Msg: "m"}, "proof: leaf: m"},
	} {
		if got := c.e.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestStandardLibraryAlone asks the go command what the package stands on.
func TestStandardLibraryAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Skip("no go command:", err)
	}
	got := strings.Fields(string(out))
	for _, p := range got {
		if !strings.Contains(p+"/", "/internal/proof/") {
			t.Errorf("not of the standard library: %s", p)
		}
	}
	if len(got) == 0 {
		t.Error("nothing was listed")
	}
}

// FuzzVerify looks for a panic, and for an export that is accepted though it is
// not the one that was signed.
func FuzzVerify(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(vectors, "*.jsonl"))
	if len(files) == 0 {
		f.Fatal("no seed")
	}
	signed := map[string]bool{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if r, err := proof.Verify(bytes.NewReader(b), proof.Options{}); err == nil {
			signed[said(b, r)] = true
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := proof.Verify(bytes.NewReader(b), proof.Options{})
		if err == nil && !signed[said(b, r)] {
			t.Fatalf("accepted what nobody signed: %q", b)
		}
		if e := (*proof.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Fatalf("no class: %v", err)
		}
		_, again := proof.Verify(bytes.NewReader(b), proof.Options{Approvals: true})
		if e := (*proof.Error)(nil); err != nil && again == nil || again != nil && !errors.As(again, &e) {
			t.Fatalf("%v, and with approvals %v", err, again)
		}
		_, _ = proof.Anchor(b)
		_, _ = proof.Receipt(b, nil)
	})
}

// said is what an export says, without the signatures under its head: those of
// witnesses are not looked at.
func said(b []byte, r proof.Report) string {
	text, _, _ := strings.Cut(r.Head, "\n\n")
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return text + "\n" + string(rest)
}
