package grant

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/identity"
)

func terms() (canon.GrantTerms, Use) {
	fields := []canon.GrantField{{Vault: "v", Item: "i", Field: "f"}, {Vault: "v", Item: "i", Field: "g"}}
	argv := canon.ArgvDigest([]string{"/bin/job", "--full"})
	t := canon.GrantTerms{V: 1, Name: "n", Fields: fields, Revisions: canon.RevisionsFollow, Grade: canon.GradeHold, UID: 1000,
		Program: "/bin/job", Hash: "h", Interpreter: "/bin/sh", IntHash: "k", Argv: argv, Dir: "/srv"}
	u := Use{Action: "hold", Place: canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: "/bin/job", Argv: argv, Dir: "/srv", Names: []string{"X"},
		Image: &canon.Image{Hash: "h", Interpreter: "/bin/sh", IntHash: "k"}}}
	for _, f := range fields {
		u.Subjects = append(u.Subjects, canon.Subject{Ref: "op://vault/item/" + f.Field, Vault: f.Vault, Item: f.Item, Field: f.Field, Tier: canon.TierStandard})
	}
	return t, u
}

// Each thing that is pinned, changed alone, uncovers the use.
func TestCovers(t *testing.T) {
	g, u := terms()
	if !covers(g, 1000, u) {
		t.Fatal("the very use is not covered")
	}
	few := u
	few.Subjects = few.Subjects[1:]
	if !covers(g, 1000, few) {
		t.Error("fewer references are not covered")
	}
	changes := map[string]func(*canon.GrantTerms, *Use, *int){
		"zero terms":      func(g *canon.GrantTerms, _ *Use, _ *int) { *g = canon.GrantTerms{} },
		"zero both":       func(g *canon.GrantTerms, u *Use, uid *int) { *g, *u, *uid = canon.GrantTerms{}, Use{}, 0 },
		"another version": func(g *canon.GrantTerms, _ *Use, _ *int) { g.V = 2 },
		"other revisions": func(g *canon.GrantTerms, _ *Use, _ *int) { g.Revisions = "pinned" },
		"grade reveal": func(g *canon.GrantTerms, u *Use, _ *int) {
			g.Grade, u.Place.Grade = canon.GradeReveal, canon.GradeReveal
		},
		"another grade":    func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Grade = canon.GradeReveal },
		"an agent's":       func(_ *canon.GrantTerms, u *Use, _ *int) { u.Action = "run-agent" },
		"another sink":     func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Sink = "reveal" },
		"another user":     func(_ *canon.GrantTerms, _ *Use, uid *int) { *uid = 0 },
		"nobody":           func(g *canon.GrantTerms, _ *Use, uid *int) { g.UID, *uid = -1, -1 },
		"another program":  func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Program += "2" },
		"another argument": func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Argv[0] ^= 1 },
		"another folder":   func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Dir = "/srv/" },
		"another hash":     func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Image.Hash = "x" },
		"no hash anywhere": func(g *canon.GrantTerms, u *Use, _ *int) { g.Hash, u.Place.Image.Hash = "", "" },
		"half a script":    func(g *canon.GrantTerms, u *Use, _ *int) { g.IntHash, u.Place.Image.IntHash = "", "" },
		"no script":        func(_ *canon.GrantTerms, u *Use, _ *int) { u.Place.Image.Interpreter, u.Place.Image.IntHash = "", "" },
		"no references":    func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects = nil },
		"presence vault":   func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[1].Tier = canon.TierPresence },
		"no tier":          func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[1].Tier = "" },
		"a code's seed":    func(g *canon.GrantTerms, _ *Use, _ *int) { g.Fields[0].Form = "otp" },
		"another form":     func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[0].Ref += "?attribute=otp" },
		"no reference":     func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[0].Ref = "" },
		"another vault":    func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[0].Vault = "w" },
		"another item":     func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[0].Item = "j" },
		"another field":    func(_ *canon.GrantTerms, u *Use, _ *int) { u.Subjects[0].Field = "h" },
	}
	for name, change := range changes {
		g, u := terms()
		uid := 1000
		change(&g, &u, &uid)
		if covers(g, uid, u) {
			t.Errorf("%s is covered", name)
		}
	}
}

// A use is covered only if all that is pinned is equal, whatever both say.
func TestCoversNothingMore(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "b"})
	rapid.Check(t, func(t *rapid.T) {
		tier := rapid.SampledFrom([]canon.Tier{"", canon.TierStandard, canon.TierPresence})
		var g canon.GrantTerms
		u := Use{Action: "hold"}
		g.V, g.Revisions, g.Grade = rapid.IntRange(0, 2).Draw(t, "v"), canon.RevisionsFollow, canon.GradeHold
		g.Program, g.Hash, g.Interpreter, g.IntHash, g.Dir = word.Draw(t, "p"), word.Draw(t, "h"), word.Draw(t, "i"), word.Draw(t, "k"), word.Draw(t, "d")
		u.Place = canon.Place{Sink: "handoff", Grade: canon.GradeHold, Program: word.Draw(t, "up"), Dir: word.Draw(t, "ud")}
		u.Place.Image = &canon.Image{Hash: word.Draw(t, "uh"), Interpreter: word.Draw(t, "ui"), IntHash: word.Draw(t, "uk")}
		for range rapid.IntRange(0, 2).Draw(t, "fields") {
			g.Fields = append(g.Fields, canon.GrantField{Field: word.Draw(t, "f")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "subjects") {
			u.Subjects = append(u.Subjects, canon.Subject{Ref: "op://a/b/c", Field: word.Draw(t, "s"), Tier: tier.Draw(t, "tier")})
		}
		if !covers(g, 0, u) {
			return
		}
		if g.V != 1 || g.Program == "" || g.Hash == "" || g.Dir == "" || g.Program != u.Place.Program || g.Dir != u.Place.Dir ||
			g.Hash != u.Place.Image.Hash || g.Interpreter != u.Place.Image.Interpreter || g.IntHash != u.Place.Image.IntHash || len(u.Subjects) == 0 {
			t.Fatalf("%+v covers %+v", g, u)
		}
		for _, s := range u.Subjects {
			found := false
			for _, f := range g.Fields {
				found = found || f.Field == s.Field
			}
			if !found || s.Tier != canon.TierStandard {
				t.Fatalf("%+v covers %+v", g, u)
			}
		}
	})
}

func TestAgrees(t *testing.T) {
	job := []string{"/bin/job", "--full", "--", "x"}
	digest := canon.ArgvDigest(job)
	told := append([]string{"/usr/bin/thumbturn", "run", "--no-wait", "--"}, job...)
	for _, c := range []struct {
		name string
		exe  identity.Exe
		argv []string
		want bool
	}{
		{"our client", identity.Exe{Path: "/usr/bin/thumbturn"}, told, true},
		{"replaced by an update", identity.Exe{Path: "/usr/bin/thumbturn (deleted)"}, told, true},
		{"hidden", identity.Exe{State: "unreadable"}, told, true},
		{"another executable", identity.Exe{Path: "/usr/bin/python3"}, told, false},
		{"named like a folder of ours", identity.Exe{Path: "/opt/thumbturn/x"}, told, false},
		{"another name", identity.Exe{}, append([]string{"python3"}, told[1:]...), false},
		{"no arguments", identity.Exe{Path: "/usr/bin/thumbturn"}, nil, false},
		{"other arguments", identity.Exe{}, append([]string{}, append(told, "y")...), false},
		{"arguments without the mark", identity.Exe{}, []string{"thumbturn", "run", "/bin/job", "--full"}, false},
	} {
		e := identity.Evidence{Asker: identity.Process{Exe: c.exe, Argv: c.argv}}
		if got := agrees(e, digest, ""); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func FuzzAgrees(f *testing.F) {
	f.Add("thumbturn\x00run\x00--\x00job", "job")
	f.Add("thumbturn\x00--\x00--", "--")
	f.Fuzz(func(t *testing.T, line, job string) {
		argv, want := strings.Split(line, "\x00"), strings.Split(job, "\x00")
		got := agrees(identity.Evidence{Asker: identity.Process{Argv: argv}}, canon.ArgvDigest(want), "")
		if got && (!strings.HasSuffix("\x00"+line, "\x00--\x00"+job) || !own(argv[0])) {
			t.Fatalf("%q passes as a run of %q", argv, want)
		}
	})
}

func TestAgreesOnTask(t *testing.T) {
	for line, want := range map[string]bool{
		"thumbturn run --task nightly": true, "/opt/thumbturn run --no-wait --task=nightly": true, "thumbturn run --task other": false,
		"thumbturn run --task=nightly2": false, "thumbturn run --task": false, "thumbturn read --task nightly": false,
		"thumbturn run --task nightly -- /bin/other": false, "python run --task nightly": false, "thumbturn run -- /bin/job --task nightly": false,
		"thumbturn run -- /bin/job": true,
	} {
		e := identity.Evidence{Asker: identity.Process{Argv: strings.Fields(line)}}
		if got := agrees(e, canon.ArgvDigest([]string{"/bin/job"}), "nightly"); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}
