package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/proof"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectors = "../../spec/vectors/ledger"

// vector is one entry of index.json.
type vector struct {
	Name  string `json:"name"` // the file is Name + ".jsonl"
	Kind  string `json:"kind"` // "export", "anchor" or "proof"
	Root  string `json:"root,omitempty"`
	Since string `json:"since,omitempty"`      // name of the anchor that the export must continue
	Key   string `json:"device_key,omitempty"` // hexadecimal; for a proof
	// Approvals of the export are checked too.
	Approvals bool   `json:"approvals,omitempty"`
	Want      string `json:"want"`
	bytes     []byte
}

func generate() []vector {
	var out []vector
	add := func(name, want string, lines []string, more ...func(*vector)) {
		v := vector{Name: name, Kind: "export", Want: want, bytes: file(lines)}
		for _, m := range more {
			m(&v)
		}
		out = append(out, v)
	}
	generateExports(add)
	generateForgeries(add)
	generateGrants(add)
	generateDevices(add)
	generateEpochs(add)
	generateAnchors(add)
	generateProofs(add)
	generateApprovals(add)
	return out
}

type adder func(name, want string, lines []string, more ...func(*vector))

func generateExports(add adder) {
	l := sample(7)
	good := l.lines()
	last := len(good) - 1
	rooted := func(v *vector) { v.Root = l.fingerprint() }
	add("ok", "ok", good, rooted)
	add("ok-no-events", "ok", sample(0).lines())
	add("ok-one-event", "ok", sample(1).lines())
	add("ok-cosigned", "ok", l.linesUnder(l.head(len(l.statements), 7, signer{"witness.example/w", key("witness")})))
	home := newLog()
	home.testHome = true
	home.fill(2)
	add("ok-test-home", "ok", home.lines())
	add("root-other-expected", "root", good, func(v *vector) { v.Root = strings.Repeat("0", 64) })
	thief := newLog()
	thief.root = key("thief")
	thief.fill(7)
	add("root-other-account", "root", thief.lines(), rooted)

	add("count-no-statements", "count", good[:1])
	add("count-statement-missing", "count", append(append([]string{}, good[:8]...), good[9:]...))
	add("count-statements-swapped", "count", append(append(append([]string{}, good[:4]...), good[5], good[4]), good[6:]...))
	add("count-statement-repeated", "count", append(append([]string{}, good[:5]...), good[4:]...))
	add("count-statement-after-event", "count", append(append(append([]string{}, good[:8]...), good[9], good[8]), good[10:]...))
	add("count-last-event-missing", "count", good[:last])
	add("count-event-repeated", "count", append(append([]string{}, good...), good[last]))
	add("count-events-swapped", "count", append(append([]string{}, good[:last-1]...), good[last], good[last-1]))

	replace := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				panic(old)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	add("format-version", "format", edit(good, 0, replace(`"export":1`, `"export":2`)))
	add("format-blank-line", "format", append(append([]string{}, good[:3]...), append([]string{""}, good[3:]...)...))
	add("format-white-space", "format", edit(good, 3, replace(`,"body"`, `, "body"`)))
	add("format-unknown-member", "format", edit(good, 3, replace(`,"body"`, `,"x":1,"body"`)))
	add("format-repeated-member", "format", edit(good, 3, replace(`,"body"`, `,"sig":"","body"`)))
	add("format-member-case", "format", edit(good, 3, replace(`"body"`, `"Body"`)))
	add("format-carriage-return", "format", edit(good, 3, func(s string) string { return s + "\r" }))
	add("format-hash-upper-case", "format", edit(good, 3, func(s string) string {
		i := strings.Index(s, `"link":"`) + 8
		return s[:i] + strings.ToUpper(s[i:i+64]) + s[i+64:]
	}))
	add("format-short-salt", "format", edit(good, last, replace(`"salt":"`+b64(l.events[6].salt), `"salt":"`+b64(l.events[6].salt[:31]))))
	add("format-cut", "format", good, func(v *vector) { v.bytes = v.bytes[:len(v.bytes)-10] })
	add("format-no-last-line-break", "format", good, func(v *vector) { v.bytes = v.bytes[:len(v.bytes)-1] })
	add("format-empty", "format", nil, func(v *vector) { v.bytes = nil })

	add("chain-body", "chain", edit(good, 5, replace(b64(l.statements[4].body), b64(bytes.Replace(l.statements[4].body, []byte("person"), []byte("perso0"), 1)))))
	add("chain-link", "chain", edit(good, 5, func(s string) string { return flip(s, "link", 3) }))
	add("chain-signature", "chain", edit(good, 3, func(s string) string { return flip(s, "sig", 3) }))
	add("chain-signature-dropped", "chain", edit(good, 3, replace(b64(l.statements[2].sig), "")))

	add("head-signature", "head", []string{l.first(strings.Replace(l.head(8, 7), "— ", "— x", 1))})
	add("head-tree", "head", edit(good, 0, replace(`\n7\n`, `\n6\n`)))
	add("head-unsigned", "head", []string{l.first(strings.SplitAfter(l.head(8, 7), "\n\n")[0])})
	add("head-malformed", "head", []string{l.first(l.signText("thumbturn/" + l.name + "\n07\n"))})
	add("leaf-body", "leaf", edit(good, last, func(s string) string { return flip(s, "body", 9) }))
	add("leaf-salt", "leaf", edit(good, last, func(s string) string { return flip(s, "salt", 0) }))
	add("leaf-leaf", "leaf", edit(good, last, func(s string) string { return flip(s, "leaf", 31) }))
	forged := sample(7)
	forged.events[3].body = []byte(`{"v":1,"type":"denial"}`)
	add("leaf-event-replaced", "leaf", forged.linesUnder(l.head(8, 7)))
}

// generateForgeries are ledgers whose links and heads agree: what is wrong is
// what they say.
func generateForgeries(add adder) {
	forge := func(name, want string, how func(*log)) {
		l := sample(2)
		how(l)
		add(name, want, l.lines())
	}
	v := vault()
	v.Tier = canon.TierPresence
	change := func(m canon.Item) func(*log) {
		return func(l *log) { l.put(l.next(canon.TypeItem, itemID, m), nil) }
	}
	moved := manifest("second", canon.StateCurrent, 2)
	moved.Binding = sum("elsewhere")
	forge("signature-vault-unsigned", "signature", func(l *log) { l.put(l.next(canon.TypeVault, vaultID, v), nil) })
	forge("signature-vault-other-key", "signature", func(l *log) { l.put(l.next(canon.TypeVault, vaultID, v), key("thief")) })
	forge("signature-item-other-key", "signature", func(l *log) {
		l.put(l.next(canon.TypeItem, itemID, manifest("second", canon.StateCurrent, 1)), key("thief"))
	})
	forge("signature-item-title", "signature", change(manifest("third", canon.StateCurrent, 2)))
	forge("signature-item-binding", "signature", change(moved))
	forge("signature-item-state", "signature", change(manifest("second", canon.StateArchived, 0)))
	forge("signature-genesis", "signature", func(l *log) { l.statements[0].sig = l.statements[1].sig })
	forge("signature-item-value-dropped", "signature", change(manifest("second", canon.StateCurrent, 0)))

	step := func(by int64, parent canon.Hash) func(*log) {
		return func(l *log) {
			s := l.next(canon.TypePolicy, "policy", canon.Policy{V: 1})
			if s.Version += by; parent != (canon.Hash{}) {
				s.Parent = parent
			}
			l.put(s, l.root)
		}
	}
	forge("parent-version-skipped", "parent", step(1, canon.Hash{}))
	forge("parent-version-repeated", "parent", step(-1, canon.Hash{}))
	forge("parent-sibling", "parent", step(0, sum("other")))
	lost := manifest("second", canon.StateCurrent, 2)
	lost.Vault = "0123456789abcdefghjkmnpqrg"
	forge("parent-unknown-vault", "parent", func(l *log) { l.sign(canon.TypeItem, itemID, lost) })
	early := manifest("second", canon.StateCurrent, 2)
	early.Epoch = 2
	forge("parent-epoch-ahead", "parent", func(l *log) { l.sign(canon.TypeItem, itemID, early) })

	forge("format-second-genesis", "format", func(l *log) { l.sign(canon.TypeGenesis, "other", l.genesis()) })
	forge("format-unknown-type", "format", func(l *log) { l.sign("tombola", "x", canon.Policy{V: 1}) })
	forge("format-setting-name", "format", func(l *log) { l.sign(canon.TypeSetting, "a", canon.Setting{V: 1, Name: "b"}) })
	forge("format-roster-subject", "format", func(l *log) { l.sign(canon.TypeRoster, "roster2", canon.Roster{V: 1}) })
	forge("format-payload-member", "format", func(l *log) {
		l.sign(canon.TypePolicy, "policy", struct {
			V    int    `json:"v"`
			Text string `json:"text"`
			More int    `json:"more"`
		}{1, "", 1})
	})
	forge("format-slot-header", "format", func(l *log) {
		l.sign(canon.TypeRoster, "roster", canon.Roster{V: 1, Slots: []canon.Slot{{Header: []byte(`{"v":1,"v":1}`)}}})
	})
	forge("format-state", "format", func(l *log) { l.sign(canon.TypeItem, itemID, manifest("second", "hidden", 2)) })
	first := newLog()
	first.sign(canon.TypePolicy, "policy", canon.Policy{V: 1})
	add("format-no-genesis", "format", first.lines())

	l := sample(2)
	cut := sample(2)
	cut.statements = cut.statements[:7]
	cut.sign(canon.TypeSetting, "other", canon.Setting{V: 1, Name: "other"})
	add("chain-end", "chain", cut.linesUnder(l.head(8, 2)))
	other := sample(2)
	other.device = key("other device")
	add("head-other-device-key", "head", other.lines())
	other = sample(2)
	other.name = "0123456789abcdefghjkmnpqrw"
	add("head-other-device-id", "head", other.lines())
}

// generateGrants are ledgers with a grant, and what a writer of the database
// would like to make of one.
func generateGrants(add adder) {
	const id = "0123456789abcdefghjkmnpqrm"
	g := canon.Grant{V: 1, ID: id, Vault: vaultID, Epoch: 1, Terms: canon.Bytes("terms"), Uses: 30, Created: 1700000000000, Until: 1702592000000}
	end := g
	end.Revoked = true
	made := func(more ...func(*log)) []string {
		l := sample(2)
		l.sign(canon.TypeGrant, id, g)
		for _, m := range more {
			m(l)
		}
		return l.lines()
	}
	unsigned := func(g canon.Grant) func(*log) {
		return func(l *log) { l.put(l.next(canon.TypeGrant, id, g), nil) }
	}
	signed := func(g canon.Grant) func(*log) { return func(l *log) { l.sign(canon.TypeGrant, id, g) } }
	add("ok-grant", "ok", made())
	add("ok-grant-ended", "ok", made(unsigned(end)))
	add("ok-grant-ended-signed", "ok", made(signed(end)))
	add("parent-grant-longer", "parent", made(unsigned(g)))
	add("parent-grant-longer-signed", "parent", made(signed(g)))
	add("parent-grant-revived", "parent", made(unsigned(end), signed(g)))
	add("parent-grant-ended-twice", "parent", made(unsigned(end), unsigned(end)))
	add("signature-grant-end-other-key", "signature", made(func(l *log) { l.put(l.next(canon.TypeGrant, id, end), key("thief")) }))
	alone := func(name, want string, how func(*log)) {
		l := sample(2)
		how(l)
		add(name, want, l.lines())
	}
	alone("signature-grant-unsigned", "signature", unsigned(g))
	alone("signature-grant-other-key", "signature", func(l *log) { l.put(l.next(canon.TypeGrant, id, g), key("thief")) })
	alone("signature-grant-ended-only", "signature", unsigned(end))
	alone("format-grant-id", "format", func(l *log) { l.sign(canon.TypeGrant, vaultID, g) })
	lost := g
	lost.Vault = itemID
	alone("parent-grant-unknown-vault", "parent", signed(lost))
	early := g
	early.Epoch = 2
	alone("parent-grant-epoch-ahead", "parent", signed(early))
}

// generateDevices makes ledgers that went over to another device after five events.
func generateDevices(add adder) {
	const next = "0123456789abcdefghjkmnpqrg"
	heir := func(l *log, head string) canon.Device {
		return canon.Device{V: 1, Device: next, DeviceKey: canon.Bytes(key("next device").Public().(ed25519.PublicKey)), DeviceKEM: canon.Bytes("kem"),
			Head: head, Created: 1700000000000}
	}
	moved := func(change func(*log, *canon.Device)) *log {
		l := sample(5)
		d := heir(l, l.head(len(l.statements), 5))
		change(l, &d)
		l.sign(canon.TypeDevice, "device", d)
		l.device, l.name = key("next device"), next
		l.happen(3)
		return l
	}
	same := func(*log, *canon.Device) {}
	good := moved(same)
	add("ok-device", "ok", good.lines(), func(v *vector) { v.Root = good.fingerprint() })
	again := moved(same)
	second := heir(again, again.head(len(again.statements), 8))
	second.Device, second.DeviceKey = "0123456789abcdefghjkmnpqrr", canon.Bytes(key("third device").Public().(ed25519.PublicKey))
	again.sign(canon.TypeDevice, "device", second)
	again.device, again.name = key("third device"), second.Device
	add("ok-device-twice", "ok", again.lines())

	old := sample(5)
	early := func(v *vector) { v.Kind, v.bytes = "anchor", old.anchor(6, 4) }
	last := func(v *vector) { v.Kind, v.bytes = "anchor", old.anchor(8, 5) }
	late := func(v *vector) { v.Kind, v.bytes = "anchor", good.anchor(9, 7) }
	wrong := func(v *vector) { v.Kind, v.bytes = "anchor", good.anchor(8, 5) } // the heir, before its time
	for _, a := range []struct {
		name string
		of   func(*vector)
	}{{"early", early}, {"last", last}, {"late", late}} {
		add("anchor-device-"+a.name, "ok", nil, a.of)
		add("ok-since-anchor-device-"+a.name, "ok", good.lines(), func(v *vector) { v.Since = "anchor-device-" + a.name })
	}
	add("anchor-device-wrong", "ok", nil, wrong)
	add("anchor-device-before-its-time", "anchor", good.lines(), func(v *vector) { v.Since = "anchor-device-wrong" })

	forge := func(name, want string, change func(*log, *canon.Device)) { add(name, want, moved(change).lines()) }
	forge("head-device-none", "head", func(_ *log, d *canon.Device) { d.Head = "" })
	forge("head-device-not-signed-by-the-one-before", "head", func(l *log, d *canon.Device) {
		forged := sample(5)
		forged.device = key("next device")
		d.Head = forged.head(8, 5)
	})
	forge("head-device-other-place", "head", func(l *log, d *canon.Device) { d.Head = l.head(7, 5) })
	forge("head-device-other-key", "head", func(_ *log, d *canon.Device) { d.DeviceKey = canon.Bytes(key("thief").Public().(ed25519.PublicKey)) })
	forge("head-device-other-name", "head", func(_ *log, d *canon.Device) { d.Device = account })
	forge("format-device-key", "format", func(_ *log, d *canon.Device) { d.DeviceKey = canon.Bytes("short") })
	forge("leaf-device-events", "leaf", func(l *log, _ *canon.Device) { l.events[2].body = []byte(`{"v":1}`) })
	forge("leaf-device-events-missing", "leaf", func(l *log, _ *canon.Device) { l.events = l.events[:1] })
	unsigned := sample(5)
	unsigned.put(unsigned.next(canon.TypeDevice, "device", heir(unsigned, unsigned.head(8, 5))), nil)
	unsigned.device, unsigned.name = key("next device"), next
	add("signature-device-unsigned", "signature", unsigned.lines())
	stays := sample(5)
	stays.sign(canon.TypeDevice, "device", heir(stays, stays.head(8, 5)))
	add("head-device-before-goes-on", "head", stays.lines())
	other := sample(5)
	other.sign(canon.TypeDevice, "second", heir(other, other.head(8, 5)))
	other.device, other.name = key("next device"), next
	add("format-device-subject", "format", other.lines())
}

func generateAnchors(add adder) {
	l := sample(7)
	anchorKind := func(b []byte) func(*vector) {
		return func(v *vector) { v.Kind, v.bytes = "anchor", b }
	}
	since := func(name string) func(*vector) {
		return func(v *vector) { v.Kind, v.Since = "export", name }
	}
	add("anchor-early", "ok", nil, anchorKind(l.anchor(5, 3)))
	add("anchor-late", "ok", nil, anchorKind(l.anchor(8, 7)))
	add("anchor-start", "ok", nil, anchorKind(l.anchor(0, 0)))
	thief := newLog()
	thief.device = key("other device")
	thief.fill(7)
	add("anchor-other-device", "ok", nil, anchorKind(thief.anchor(5, 3)))
	add("anchor-format", "format", nil, anchorKind([]byte(`{"anchor":1}`)))
	add("anchor-head", "head", nil, anchorKind([]byte(strings.Replace(string(l.anchor(5, 3)), `statements 5`, `statements 6`, 1))))

	for _, name := range []string{"anchor-early", "anchor-late", "anchor-start"} {
		add("ok-since-"+name, "ok", l.lines(), since(name))
	}
	add("anchor-of-other-device", "anchor", l.lines(), since("anchor-other-device"))
	add("anchor-export-older", "anchor", sample(6).lines(), since("anchor-late"))
	forked := newLog()
	forked.testHome = true
	forked.fill(7)
	add("anchor-statements-forked", "anchor", forked.lines(), since("anchor-early"))
	add("anchor-statements-forked-late", "anchor", forked.lines(), since("anchor-late"))
	events := sample(9)
	events.events[1].body = []byte(`{"v":1}`)
	add("anchor-events-forked", "anchor", events.lines(), since("anchor-early"))
	later := sample(9)
	later.events[5].body = []byte(`{"v":1}`)
	add("ok-forked-after-anchor", "ok", later.lines(), since("anchor-early"))
}

func generateProofs(add adder) {
	l := sample(7)
	put := func(name, want string, n int, change func(*receipt), more ...func(*vector)) {
		r := l.receipt(n)
		change(&r)
		add(name, want, []string{marshal(r)}, append(more, func(v *vector) { v.Kind = "proof" })...)
	}
	same := func(*receipt) {}
	keyed := func(k string) func(*vector) {
		return func(v *vector) { v.Key = hex.EncodeToString(key(k)[32:]) }
	}
	for i, name := range []string{"proof-0", "proof-1", "proof-2", "proof-3", "proof-4", "proof-5", "proof-6"} {
		put(name, "ok", i, same, keyed("device"))
	}
	put("proof-unkeyed", "ok", 3, same)
	put("proof-head-other-device", "head", 3, same, keyed("other device"))
	put("proof-head", "head", 3, func(r *receipt) { r.Head = strings.Replace(r.Head, "statements 8", "statements 9", 1) })
	put("proof-format", "format", 3, func(r *receipt) { r.Proof = 2 })
	put("proof-format-path", "format", 3, func(r *receipt) { r.Path = nil })
	put("proof-leaf", "leaf", 3, func(r *receipt) { r.Body = b64([]byte(`{"v":1}`)) })
	put("proof-count", "count", 3, func(r *receipt) { r.N = 7 })
	put("proof-path-index", "path", 3, func(r *receipt) { r.N = 2 })
	put("proof-path-hash", "path", 3, func(r *receipt) { r.Path[1] = r.Path[0] })
	put("proof-path-short", "path", 3, func(r *receipt) { r.Path = r.Path[:2] })
	put("proof-path-long", "path", 3, func(r *receipt) { r.Path = append(r.Path, r.Path[0]) })
	put("proof-path-empty", "path", 3, func(r *receipt) { r.Path = []string{} })
	put("proof-path-other-event", "path", 3, func(r *receipt) {
		body := []byte(`{"v":1,"type":"intent"}`)
		r.Leaf, r.Body = canon.Leaf(l.events[3].salt, body).String(), b64(body)
	})
}

// generateApprovals are ledgers that are fine as such, but for what some say of
// approvals.
func generateApprovals(add adder) {
	asked := func(v *vector) { v.Approvals = true }
	add("approvals-ok", "ok", story().lines(), asked)
	for _, f := range forgeries() {
		add("approvals-"+f.name, f.want, f.log().lines(), asked)
	}
	thief := approved()
	one(scene{key: es256("thief")})(thief)
	add("approvals-not-asked-for", "ok", thief.lines())
}

func (v vector) check(t testing.TB, read func(name string) []byte) error {
	o := proof.Options{Approvals: v.Approvals}
	if v.Root != "" {
		root, err := proof.ParseFingerprint(v.Root)
		if err != nil {
			t.Fatal(err)
		}
		o.Root = root
	}
	b := read(v.Name)
	var err error
	switch {
	case v.Kind == "anchor":
		_, err = proof.Anchor(b)
	case v.Kind == "proof":
		var k []byte
		if v.Key != "" {
			k, _ = hex.DecodeString(v.Key)
		}
		_, err = proof.Receipt(b, k)
	case v.Kind == "export" && v.Since != "":
		_, err = proof.Since(bytes.NewReader(b), read(v.Since), o)
	case v.Kind == "export":
		_, err = proof.Verify(bytes.NewReader(b), o)
	default:
		t.Fatalf("kind %q", v.Kind)
	}
	return err
}

// TestVectors runs over the published vectors; with -update it writes them.
func TestVectors(t *testing.T) {
	if *update {
		write(t, generate())
	}
	b, err := os.ReadFile(filepath.Join(vectors, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index []vector
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	if len(index) == 0 {
		t.Fatal("no vector")
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(vectors, name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	seen := map[string]bool{}
	for _, v := range index {
		seen[v.Want] = true
		t.Run(v.Name, func(t *testing.T) { want(t, v.check(t, read), v.Want) })
	}
	for _, c := range []string{"ok", "format", "chain", "signature", "parent", "head", "leaf", "count", "root", "anchor", "path",
		"approval", "passkey", "assertion", "repeated"} {
		if !seen[c] {
			t.Errorf("no vector of class %s", c)
		}
	}
	made := generate()
	if len(made) != len(index) {
		t.Errorf("%d vectors are published, %d generated: run with -update", len(index), len(made))
	}
	for _, v := range made {
		if !bytes.Equal(read(v.Name), v.bytes) {
			t.Errorf("%s: published and generated vectors differ: run with -update", v.Name)
		}
	}
}

func write(t *testing.T, all []vector) {
	t.Helper()
	old, _ := filepath.Glob(filepath.Join(vectors, "*.jsonl"))
	for _, f := range old {
		_ = os.Remove(f)
	}
	if err := os.MkdirAll(vectors, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if err := os.WriteFile(filepath.Join(vectors, v.Name+".jsonl"), v.bytes, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectors, "index.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
