package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// run evaluates a function of the page over JSON.
func run[T any](t *testing.T, b *webtest.Tab, function string, in any) T {
	t.Helper()
	return webtest.Eval[T](b, "("+function+")("+string(encode(t, in))+")")
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scripts opens a page whose functions a test calls.
func scripts(t *testing.T, chrome context.Context) *webtest.Tab {
	t.Helper()
	_, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Open(link(t, s, web.LinkOpen, ""))
	b.Sees("Nothing waits.")
	return b
}

// testEscape compares the filter of the page with the daemon's, over every
// character and over mixed texts. A browser may know letters of a newer Unicode:
// those it shows as letters, where the daemon escapes what it does not know yet.
func testEscape(t *testing.T, chrome context.Context) {
	b := scripts(t, chrome)
	var all, some []rune // of words, those of the largest scripts by samples
	for r := rune(0); r < 0x110000; r++ {
		if r < 0xd800 || r >= 0xe000 { // never in a request: JSON of it is not canonical
			all = append(all, r)
		}
		if unicode.In(r, unicode.L, unicode.M, unicode.N) && (r%64 == 0 || !unicode.In(r, unicode.Han, unicode.Hangul, unicode.Tangut)) {
			some = append(some, r)
		}
	}
	newer := 0
	compare := func(before string, runes []rune) {
		kept := run[string](t, b, `([before, all]) => Array.from(all, (c) => Canon.escape(before + c) === before + c ? "1" : "0").join("")`, []string{before, string(runes)})
		for i, r := range runes {
			if ours := canon.Escape(before+string(r)) == before+string(r); ours == (kept[i] == '1') {
				continue
			} else if !ours && !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co) {
				newer++
				continue
			}
			t.Errorf("%U after %q: not the same", r, before)
		}
	}
	compare("", all)
	for _, before := range []string{"ab", "яв", "αβ", "क", "きゃ", "ب", "ש", "กข", "1"} {
		compare(before, some)
	}
	t.Logf("%d characters are newer than Unicode %s", newer, unicode.Version)
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("aé漢🔑 \t\n\u0000\u001b\u007f\u0085\u00a0\u00ad\u061c\u115f\u1160\u200b\u200e\u202e\u2028\u2066\u2800\u3000\u3164\ufe0f\ufeff\ufffd\uffa0\U000e0041\U000e0100\U0010ffff\U0001f9d1\u0301\u0301\u0488аяρԱᎠかカ\u3099ㄅ한ก\u0e48กकि\u0951ب\u064eש\u05b8𝐩Ⅷｐ٣४Ω<>&'\"`\\$")
	var texts, want []string
	for range 2000 {
		var s strings.Builder
		for range random.IntN(12) {
			s.WriteRune(alphabet[random.IntN(len(alphabet))])
		}
		texts, want = append(texts, s.String()), append(want, canon.Escape(s.String()))
	}
	if diff := cmp.Diff(want, run[[]string](t, b, `(all) => all.map(Canon.escape)`, texts)); diff != "" {
		t.Errorf("(-daemon +page):\n%s", diff)
	}
}

// testLines compares what the page shows with what the daemon shows, over the
// vectors of the specification and requests with every odd thing in them.
func testLines(t *testing.T, chrome context.Context) {
	b := scripts(t, chrome)
	file, err := os.ReadFile(filepath.Join("..", "..", "..", "spec", "vectors", "request", "requests.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Name, Raw, Want string }
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	raws := [][]byte{}
	for _, v := range vectors {
		if v.Want == "ok" {
			raws = append(raws, []byte(v.Raw))
		}
	}
	if len(raws) < 3 {
		t.Fatal("no vectors")
	}
	f := newFake(t)
	for _, edit := range []func(*canon.Request){nil, lease, policy, hostile, func(r *canon.Request) {
		r.TestHome, r.Uses, r.Action, r.Place.Grade = true, 12, "use", canon.GradeUse
		r.Principal, r.Tenant = canon.Fact{Value: "uid 1000", Derived: true}, canon.Fact{Value: "ten\u00adant"}
		r.Place.Shown = []string{"", "it's", "a b", "$x", "plain", "é"}
		r.Place.Image = &canon.Image{Hash: "ab", Interpreter: "/bin/sh", IntHash: "cd", IntFile: "1:2"}
	}, task, func(r *canon.Request) { task(r); r.Project.Before = r.Project.Hash; r.Project.Diff = nil },
		func(r *canon.Request) { task(r); r.Project.Before, r.Project.Diff = canon.Hash{}, nil },
		func(r *canon.Request) { task(r); r.Project.Diff = nil }, func(r *canon.Request) { r.Place.Grade, r.Place.Shown, r.Place.Names = "odd", nil, nil },
		func(r *canon.Request) { r.Unlock = true; *r = r.ByName() }, func(r *canon.Request) { r.Unlock = true }} {
		raws = append(raws, canon.Encode(f.request(edit)))
	}
	type shown struct {
		Code  string
		Lines []canon.Line
	}
	for _, raw := range raws {
		var r canon.Request
		if err := canon.Decode(raw, &r); err != nil {
			t.Fatal(err)
		}
		want := shown{canon.ShortCode(canon.RequestDigest(raw)), canon.Lines(r)}
		got := run[shown](t, b, `async (raw) => { const x = Canon.bytes(raw); return { Code: Canon.shortCode(await Canon.requestDigest(x)),
			Lines: Canon.lines(Canon.parse(x)).map((l) => ({ Group: l.group, Label: l.label, Text: l.text })) }; }`, raw)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-daemon +page):\n%s", raw, diff)
		}
	}
	until := time.Now().Add(time.Hour)
	got := run[[]canon.Line](t, b, `([until, uses]) => Canon.leaseLines(until, uses).map((l) => ({ Group: l.group, Label: l.label, Text: l.text }))`, []int64{until.UnixMilli(), 20})
	if diff := cmp.Diff(canon.LeaseLines(until, 20), got); diff != "" {
		t.Errorf("lease (-daemon +page):\n%s", diff)
	}
}

// testAnswers tries what a lying backend could have signed instead of what is on
// the screen.
func testAnswers(t *testing.T, chrome context.Context) {
	b := scripts(t, chrome)
	device, now := newID(t), int64(1_800_000_000_000)
	one, two := canon.Hash{1}, canon.Hash{2}
	answer := func(edit func(*canon.Answer)) []byte {
		a := canon.Answer{V: 1, Audience: device, Requests: []canon.Hash{one, two}}
		if edit != nil {
			edit(&a)
		}
		return canon.Encode(a)
	}
	type leave struct {
		For  int64 `json:"for"`
		Uses int   `json:"uses"`
	}
	five := &leave{300_000, 10}
	terms := func(until int64, uses int) func(*canon.Answer) {
		return func(a *canon.Answer) { a.Lease = &canon.Terms{Until: until, Uses: uses} }
	}
	for _, c := range []struct {
		what  string
		raw   []byte
		leave *leave
		ok    bool
	}{
		{"as shown", answer(nil), nil, true},
		{"a lease as chosen", answer(terms(now+300_000, 10)), five, true},
		{"a lease that took its time", answer(terms(now+310_000, 10)), five, true},
		{"a longer lease", answer(terms(now+310_001, 10)), five, false},
		{"a lease that is over", answer(terms(now, 10)), five, false},
		{"more uses", answer(terms(now+300_000, 11)), five, false},
		{"a lease nobody chose", answer(terms(now+300_000, 10)), nil, false},
		{"no lease where one was chosen", answer(nil), five, false},
		{"a third request", answer(func(a *canon.Answer) { a.Requests = append(a.Requests, canon.Hash{3}) }), nil, false},
		{"one request less", answer(func(a *canon.Answer) { a.Requests = a.Requests[:1] }), nil, false},
		{"another request", answer(func(a *canon.Answer) { a.Requests[0] = canon.Hash{9} }), nil, false},
		{"another order", answer(func(a *canon.Answer) { a.Requests[0], a.Requests[1] = two, one }), nil, false},
		{"another device", answer(func(a *canon.Answer) { a.Audience = newID(t) }), nil, false},
		{"another version", answer(func(a *canon.Answer) { a.V = 2 }), nil, false},
		{"a member more", bytes.Replace(answer(nil), []byte(`]}`), []byte(`],"also":1}`), 1), nil, false},
		{"white space", append(answer(nil), ' '), nil, false},
		{"not JSON", []byte("yes"), nil, false},
		{"nothing", nil, nil, false},
	} {
		got := run[bool](t, b, `(c) => { try { Canon.checkAnswer(Canon.bytes(c.raw || ""), { aud: c.aud, digests: c.digests.map(Canon.unhex), leave: c.leave, now: c.now }); return true; } catch { return false; } }`,
			map[string]any{"raw": c.raw, "aud": device, "digests": []canon.Hash{two, one}, "leave": c.leave, "now": now})
		if got != c.ok {
			t.Errorf("%s: signed: %v", c.what, got)
		}
	}
}

// testSeal opens with Go what the page's script sealed.
func testSeal(t *testing.T, chrome context.Context) {
	b := scripts(t, chrome)
	f := newFake(t)
	seal := func(key, info, plain []byte) []byte {
		text := run[string](t, b, `async ([key, info, plain]) => Canon.base64(await Hpke.seal(Canon.bytes(key), Canon.bytes(info), Canon.bytes(plain)))`,
			[]string{b64(key), b64(info), b64(plain)})
		out, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for size := range 70 {
		plain, challenge := bytes.Repeat([]byte{byte(size)}, size), random()
		message := seal(f.key.PublicKey().Bytes(), web.PRFInfo(challenge, 1), plain)
		if got, err := f.open(message, challenge, 1, size); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %x %v", size, got, err)
		}
		if _, err := f.open(message, challenge, 0, size); err == nil {
			t.Error("it opens as another batch")
		}
		if _, err := f.open(message, random(), 1, size); err == nil {
			t.Error("it opens for another challenge")
		}
		message[len(message)-1] ^= 1
		if _, err := f.open(message, challenge, 1, size); err == nil {
			t.Error("it opens although it was changed")
		}
	}
	for _, point := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...)} { // of small order
		if run[bool](t, b, `(key) => Hpke.seal(Canon.bytes(key), new Uint8Array(1), new Uint8Array(32)).then(() => true, () => false)`, b64(point)) {
			t.Errorf("sealed to %x", point)
		}
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// TestSealElsewhere opens with a third implementation what the page's script sealed.
func TestSealElsewhere(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: no %s. HPKE is compared with Go's alone.", tool)
		}
	}
	dir := t.TempDir()
	page, err := filepath.Abs("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json", "open.mjs"} {
		b, err := os.ReadFile(filepath.Join("testdata", "hpke", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Skipf("SKIP: npm does not bring @hpke/core: %v. HPKE is compared with Go's alone.\n%s", err, out)
	}
	node := exec.CommandContext(t.Context(), "node", "open.mjs", page)
	node.Dir = dir
	out, err := node.CombinedOutput()
	want := `[{"size":0,"opened":true,"openedWithOtherInfo":false},{"size":1,"opened":true,"openedWithOtherInfo":false},` +
		`{"size":32,"opened":true,"openedWithOtherInfo":false},{"size":64,"opened":true,"openedWithOtherInfo":false}]`
	if err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("%v\n%s", err, out)
	}
}
