//go:build linux

package e2e

import (
	"os"
	"strings"
	"testing"
)

// Without a TPM there is no PIN, everything says why, and nothing else is in the way.
// What a PIN does where there is one is tested at the account, with a TPM in software.
func TestNoTPM(t *testing.T) {
	if _, err := os.Stat("/dev/tpmrm0"); err == nil {
		t.Skip("*** SKIP: this machine has a TPM, which is not for tests")
	}
	t.Parallel()
	h := founded(t)
	h.set("op://prod/Stripe/credential", canary)
	for _, args := range [][]string{{"pin", "status"}, {"status"}, {"doctor"}} {
		if r := h.person(args...); !strings.Contains(r.Out, "no TPM 2.0") || !strings.Contains(r.Out, "not set") {
			t.Errorf("%q: %v", args, r)
		}
	}
	pin := h.write("pin", "7391\n")
	r := h.person("pin", "set", "--presence-passphrase-file", h.file("presence"), "--new-pin-file", pin)
	if r.Code != 1 || !strings.Contains(r.Err, "no TPM 2.0") {
		t.Errorf("set: %v", r)
	}
	if r := h.person("pin", "remove", "--yes", "--presence-passphrase-file", h.file("presence")); r.Code == 0 || !strings.Contains(r.Err, "no PIN is set") {
		t.Errorf("remove: %v", r)
	}
	id := strings.TrimSpace(h.person("read", "--no-wait", "op://prod/Stripe/credential").Out)
	if r := h.person("approve", id, "--pin-file", pin); r.Code != 3 || !strings.Contains(r.Err, "no PIN is set") {
		t.Errorf("approve: %v", r)
	}
	h.ok("approve", id, "--passphrase-file", h.file("presence"))
	if out := h.ok("read", "--request", id, "op://prod/Stripe/credential"); strings.TrimSpace(out) != canary {
		t.Errorf("read %q", out)
	}
}
