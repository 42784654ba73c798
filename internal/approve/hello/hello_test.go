package hello

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thumbturn/thumbturn/internal/approve/approvetest"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/winhello"
)

const page = "http://vault-0123456789abcdef.localhost:4711"

// enrolled is a passkey as the roster has it.
func enrolled(p *approvetest.Passkey) canon.Authenticator {
	return canon.Authenticator{ID: "key", Credential: p.Credential, Public: p.Public(), RPID: p.RPID, Origin: p.Origin}
}

// TestGate plays Windows, which is not here: whatever it answers, only a signature of
// an enrolled passkey, over what was asked just now, with the person verified, counts.
func TestGate(t *testing.T) {
	t.Parallel()
	mine, other, stranger := approvetest.New(t, page), approvetest.New(t, page), approvetest.New(t, page)
	roster := []canon.Authenticator{enrolled(other), enrolled(mine)}
	answer := func(a canon.Assertion) winhello.Answer {
		return winhello.Answer{Credential: a.Credential, AuthenticatorData: a.AuthenticatorData, ClientData: a.ClientData, Signature: a.Signature}
	}
	var before winhello.Answer
	for name, tt := range map[string]struct {
		answers func(winhello.Question) (winhello.Answer, error)
		want    string // of the error
	}{
		"signed":   {func(q winhello.Question) (winhello.Answer, error) { return answer(mine.Assert(q.Challenge)), nil }, ""},
		"given up": {func(winhello.Question) (winhello.Answer, error) { return winhello.Answer{}, errors.New("given up") }, "given up"},
		"nothing":  {func(winhello.Question) (winhello.Answer, error) { return winhello.Answer{}, nil }, "not of this account"},
		"a stranger's": {func(q winhello.Question) (winhello.Answer, error) {
			return answer(stranger.Assert(q.Challenge)), nil
		}, "not of this account"},
		"by another key": {func(q winhello.Question) (winhello.Answer, error) {
			return answer(mine.Impostor().Assert(q.Challenge)), nil
		}, "what the passkey answered"},
		"nobody verified": {func(q winhello.Question) (winhello.Answer, error) {
			return answer(mine.Assert(q.Challenge, func(s *approvetest.Said) { s.Flags = approvetest.Present })), nil
		}, "what the passkey answered"},
		"of another page": {func(q winhello.Question) (winhello.Answer, error) {
			return answer(mine.Assert(q.Challenge, func(s *approvetest.Said) { s.Origin = "http://localhost:1" })), nil
		}, "what the passkey answered"},
		"of a moment ago": {func(winhello.Question) (winhello.Answer, error) { return before, nil }, "what the passkey answered"},
	} {
		h := &Gate{Rand: rand.Reader, Passkeys: func() []canon.Authenticator { return roster }}
		var asked winhello.Question
		h.Ask = func(_ context.Context, q winhello.Question) (winhello.Answer, error) {
			if before.Signature == nil {
				before = answer(mine.Assert(sha256.Sum256([]byte("another question"))))
			}
			asked = q
			return tt.answers(q)
		}
		var told []string
		err := h.Verify(t.Context(), func(s string) { told = append(told, s) })
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if want := [][]byte{other.Credential, mine.Credential}; asked.RPID != mine.RPID || asked.Origin != page || !cmp.Equal(want, asked.Credentials) || len(told) != 1 {
			t.Errorf("%s: %+v was asked, %q told", name, asked, told)
		}
	}
}

// One touch is for one thing, each with a challenge of its own; without a passkey
// nobody is asked.
func TestAlone(t *testing.T) {
	t.Parallel()
	mine := approvetest.New(t, page)
	seen := map[[32]byte]bool{}
	var roster []canon.Authenticator
	h := &Gate{Rand: rand.Reader, Passkeys: func() []canon.Authenticator { return roster }}
	h.Ask = func(ctx context.Context, q winhello.Question) (winhello.Answer, error) {
		seen[q.Challenge] = true
		if err := h.Verify(ctx, nil); !fault.Is(err, fault.Unavailable) {
			t.Errorf("meanwhile: %v", err)
		}
		a := mine.Assert(q.Challenge)
		return winhello.Answer{Credential: a.Credential, AuthenticatorData: a.AuthenticatorData, ClientData: a.ClientData, Signature: a.Signature}, nil
	}
	if err := h.Verify(t.Context(), nil); !fault.Is(err, fault.Denied) || len(seen) != 0 {
		t.Errorf("no passkey: %v", err)
	}
	roster = append(roster, enrolled(mine))
	for range 3 {
		if err := h.Verify(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d challenges", len(seen))
	}
}
