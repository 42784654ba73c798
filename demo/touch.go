package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/thumbturn/thumbturn/demo/browser"
)

const (
	yes = "Approve once"
	no  = "Deny"
)

// enrol makes a passkey on the page, by leave of the presence passphrase and of the
// recovery code, and opens the approval page, which stays open from then on.
func (s *stage) enrol(ctx context.Context) (err error) {
	if s.page, err = browser.Start(ctx, s.chromium, filepath.Join(s.dir, "person"), s.environ()); err != nil {
		return err
	}
	p := s.person
	a, err := p.visited(func(link string) error {
		if err := s.page.Open(link); err != nil {
			return err
		}
		steps := []string{"Create the passkey", "Use the passkey", "Continue: passkey, 2 of 3", "Continue: passkey, 3 of 3"}
		for i, text := range steps[:3] {
			if err := s.page.Press(text, browser.Button(steps[i+1])); err != nil {
				return err
			}
		}
		return s.page.Press(steps[3], `document.querySelector("#gate-title").textContent.includes("is enrolled")`)
	}, "passkey", "add", "--format", "json", "--name", "laptop",
		"--presence-passphrase-file", p.file("presence"), "--code-file", p.file("recovery"))
	if err != nil {
		return err
	}
	var made struct {
		Decrypts bool `json:"decrypts"`
		Ended    bool `json:"passphrase_ended"`
	}
	if err := json.Unmarshal([]byte(a.Out), &made); a.Code != 0 || err != nil {
		return fmt.Errorf("passkey add ended with %d: %s", a.Code, a.Out)
	}
	if !made.Decrypts { // an older browser
		return &browser.Odd{What: "gives nothing to decrypt with", Err: errors.New("its passkeys only sign")}
	}
	s.story.prove(made.Ended, "the person enrols a passkey, with the recovery code: it signs, and is half of the key; the presence passphrase ends", a.Out)
	link, err := s.link()
	if err != nil {
		return err
	}
	return s.page.Open(link)
}

// link is an address that lets its first visitor look at the requests.
func (s *stage) link() (string, error) {
	a := s.person.typed("", "approve")
	if link := address(a.Err); a.Code == 0 && link != "" {
		return link, nil
	}
	return "", fmt.Errorf("approve gives no page: %+v", a)
}

// card is what the page shows of the first request, as a person sees it.
type card struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// shown is the first card of the page; empty where nothing waits.
func shown(b *browser.Browser) (card, error) {
	return browser.Eval[card](b, `(() => { const c = document.querySelector("#cards article"), h = c && c.querySelector("h3");
		return c && c.offsetParent ? { id: h.id.replace(/^r-/, ""), text: c.innerText } : { id: "", text: "" }; })()`)
}

// touch is the person who looks after the page: they read the card, refuse what
// sends something away, and touch the passkey for the rest.
func (s *stage) touch(ctx context.Context) error {
	c, err := shown(s.page)
	if err != nil || c.ID == "" {
		return err
	}
	if !all(c.Text, "Who", "agent", "Wants", "command", "asked by", ref) {
		return fmt.Errorf("the page does not say who wants what: %s", c.Text)
	}
	gone := "!document.getElementById(" + strconv.Quote("r-"+c.ID) + ")"
	if strings.Contains(c.Text, "/collect") {
		s.found.denied++
		return s.page.Press(no, gone)
	}
	if s.found.approved == 0 {
		if err := s.impostors(ctx, c.ID); err != nil {
			return err
		}
	}
	s.found.approved++
	return s.page.Press(yes, gone)
}

// impostors try to approve a request that waits, before the person does: the
// passphrase that has ended, a script on the person's page, and the agent's own
// browser with its own authenticator.
func (s *stage) impostors(ctx context.Context, id string) error {
	old := s.person.typed("", "approve", id, "--passphrase-file", s.person.file("presence"))
	waits, list, err := s.waits(id)
	if err != nil {
		return err
	}
	s.story.prove(old.Code != 0 && strings.Contains(old.Err, "passkeys approve") && waits,
		"an agent asks. The old presence passphrase approves nothing", fmt.Sprintf("%+v\n%s", old, list))
	asked, err := s.scripted()
	if err != nil {
		return err
	}
	if waits, list, err = s.waits(id); err != nil {
		return err
	}
	s.story.prove(len(asked) == 0 && waits, "a script on the person's own page clicks every button: nothing happens", fmt.Sprint(asked, "\n", list))
	said, err := s.stranger(ctx)
	if err != nil {
		return err
	}
	if waits, list, err = s.waits(id); err != nil {
		return err
	}
	s.story.prove(said.Signed == 1 && said.Status == 403 && strings.Contains(said.Text, "what the passkey answered is not valid") && waits,
		"the agent's own browser, let in by a stolen link, signs with its own passkey: refused", fmt.Sprintf("%+v\n%s", said, list))
	return nil
}

// waits reports whether a request has no answer yet.
func (s *stage) waits(id string) (bool, string, error) {
	out, err := s.person.must("", "requests", "--format", "json")
	if err != nil {
		return false, "", err
	}
	var list []pending
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return false, "", fmt.Errorf("requests: %w", err)
	}
	return slices.ContainsFunc(list, func(r pending) bool { return r.ID == id && r.State == "pending" }), out, nil
}

// scripted clicks all buttons of the person's page by script, once they listen, and
// returns what the page asked of the daemon then: a click that counts asks at once.
func (s *stage) scripted() ([]string, error) {
	if err := s.page.Until("shows the request", browser.Armed(yes)); err != nil {
		return nil, err
	}
	return browser.Eval[[]string](s.page, `(() => {
		const real = window.fetch, asked = [];
		window.fetch = (...a) => { if (a[0] !== "/api/state") asked.push(String(a[0])); return real(...a); };
		for (const b of document.querySelectorAll("button")) {
			b.click();
			for (const kind of ["pointerdown", "mousedown", "mouseup", "click"]) b.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
			b.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
		}
		window.fetch = real;
		return asked;
	})()`)
}

// verdict is what the daemon said to the agent's browser.
type verdict struct {
	Signed int    `json:"signed"` // by its own passkey
	Status int    `json:"status"` // of the daemon's answer to that
	Text   string `json:"text"`
}

// stranger is the agent with the best that it can have: a browser and an
// authenticator of its own, a link that it read off a command line, a real click,
// and a page that it bent so that its own passkey signs in the person's name.
func (s *stage) stranger(ctx context.Context) (verdict, error) {
	link, err := s.link()
	if err != nil {
		return verdict{}, err
	}
	b, err := browser.Start(ctx, s.chromium, filepath.Join(s.dir, "stranger"), s.environ("AI_AGENT=demo"))
	if err != nil {
		return verdict{}, err
	}
	defer b.Close()
	if err := b.Open(link); err != nil {
		return verdict{}, err
	}
	if err := b.Until("shows the request", browser.Button(yes)); err != nil {
		return verdict{}, err
	}
	if _, err := browser.Eval[bool](b, `(async () => {
		window.got = { signed: 0, status: 0, text: "" };
		const mine = await navigator.credentials.create({ publicKey: { challenge: new Uint8Array(32), rp: { id: location.hostname, name: "x" },
			user: { id: new Uint8Array(16), name: "x", displayName: "x" }, pubKeyCredParams: [{ type: "public-key", alg: -7 }],
			authenticatorSelection: { residentKey: "required", userVerification: "required" }, extensions: { prf: {} } } });
		const get = navigator.credentials.get.bind(navigator.credentials), real = window.fetch;
		navigator.credentials.get = async (o) => {
			const theirs = o.publicKey.allowCredentials[0].id;
			o.publicKey.allowCredentials = [{ type: "public-key", id: mine.rawId }];
			const c = await get(o);
			got.signed++;
			return { rawId: theirs, response: c.response, getClientExtensionResults: () => c.getClientExtensionResults() };
		};
		window.fetch = async (...a) => {
			const r = await real(...a);
			if (a[0] === "/api/finish") Object.assign(got, { text: await r.clone().text(), status: r.status });
			return r;
		};
		return true;
	})()`); err != nil {
		return verdict{}, err
	}
	if err := b.Press(yes, "got.status"); err != nil {
		return verdict{}, err
	}
	return browser.Eval[verdict](b, "got")
}

// proven checks the evidence of every approval, with a verifier that needs neither
// the daemon's code nor its keys.
func (s *stage) proven() {
	a := s.person.typed("", "audit", "verify", "--approvals", "--format", "json")
	var v struct {
		Approvals struct {
			Tiers      map[string]int `json:"tiers"`
			Assertions int            `json:"assertions"`
			Guarded    int            `json:"guarded"`
			Signed     int            `json:"signed"`
		} `json:"approvals"`
	}
	err := json.Unmarshal([]byte(a.Out), &v)
	n := s.found.approved
	s.story.prove(a.Code == 0 && err == nil && n > 0 && v.Approvals.Tiers["passkey"] == n && v.Approvals.Assertions == n &&
		v.Approvals.Guarded == n && v.Approvals.Signed == n,
		fmt.Sprintf("the approvals are proven: %d signatures of the passkey, each over exactly that request", n), fmt.Sprintf("%+v", a))
}
