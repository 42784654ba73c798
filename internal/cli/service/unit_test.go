package service

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unit parses a unit file: section.key to its values.
func unit(t *testing.T, text string) map[string][]string {
	t.Helper()
	out, section := map[string][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if line != "" && (!ok || section == "") {
			t.Fatalf("not a unit's line: %q", line)
		}
		if ok {
			out[section+"."+key] = append(out[section+"."+key], value)
		}
	}
	return out
}

func TestSystemUnits(t *testing.T) {
	socket, service := unit(t, systemSocket), unit(t, systemService)
	caps := []string{"CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"}
	for key, want := range map[string][]string{
		"Service.User":                  {"thumbturn-%i"},
		"Service.Environment":           {"THUMBTURN_HUMAN=%i THUMBTURN_HOME=/var/lib/thumbturn/%i"},
		"Service.StateDirectory":        {"thumbturn/%i"},
		"Service.StateDirectoryMode":    {"0700"},
		"Service.RuntimeDirectory":      {"thumbturn/%i/device"}, // not the socket's folder: that is root's
		"Service.AmbientCapabilities":   caps,
		"Service.CapabilityBoundingSet": caps,
		"Service.NoNewPrivileges":       {"yes"},
		"Service.SystemCallFilter":      {"~ptrace process_vm_readv process_vm_writev pidfd_getfd open_by_handle_at"},
		"Service.SystemCallErrorNumber": {"EPERM"}, // else the daemon's own test of it would kill it
		"Service.ExecStart":             {installed},
		"Unit.Requires":                 {"thumbturnd@%i.socket"},
	} {
		if d := cmp.Diff(want, service[key]); d != "" {
			t.Errorf("%s: %s", key, d)
		}
	}
	for key, want := range map[string][]string{
		"Socket.ListenStream":  {"/run/thumbturn/%i/thumbturn.sock"},
		"Socket.SocketUser":    {"%i"},
		"Socket.SocketMode":    {"0600"},
		"Socket.DirectoryMode": {"0755"},
	} {
		if d := cmp.Diff(want, socket[key]); d != "" {
			t.Errorf("%s: %s", key, d)
		}
	}
	for key, values := range service {
		if len(values) != 1 {
			t.Errorf("%s stands there %d times", key, len(values))
		}
	}
}

// systemd itself finds no fault with the units.
func TestUnitsVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("*** SKIP: systemd-analyze is not installed")
	}
	dir := t.TempDir()
	daemon := filepath.Join(dir, "thumbturnd")
	if err := os.WriteFile(daemon, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"thumbturnd@.socket": systemSocket, "thumbturnd@.service": strings.ReplaceAll(systemService, installed, daemon),
		"thumbturn.socket": linuxUser(daemon)[0].Text, "thumbturn.service": linuxUser(daemon)[1].Text,
		"thumbturnd@64000.service.d/tpm.conf": systemChip, "broken.service.d/tpm.conf": systemChip + "NoSuchKeyEither=yes\n",
		"broken.service": "[Service]\nExecStart=" + daemon + "\nNoSuchKey=yes\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(names ...string) string {
		args := []string{"verify", "--man=no", "--recursive-errors=no"}
		for _, n := range names {
			args = append(args, filepath.Join(dir, n))
		}
		cmd := exec.Command(analyze, args...)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "SYSTEMD_LOG_COLOR=0")
		out, err := cmd.CombinedOutput()
		said := ""
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, dir) || strings.Contains(line, "thumbturn") || strings.Contains(line, "broken") {
				said += line
			}
		}
		if err != nil && said == "" {
			said = err.Error() + ": " + string(out)
		}
		return said
	}
	if said := verify("broken.service"); !strings.Contains(said, "NoSuchKey'") || !strings.Contains(said, "NoSuchKeyEither") {
		t.Skipf("*** SKIP: systemd-analyze finds no fault here with what has one: %q", said)
	}
	if said := verify("thumbturnd@64000.socket", "thumbturnd@64000.service"); said != "" {
		t.Errorf("system units:\n%s", said)
	}
	if said := verify("thumbturn.socket", "thumbturn.service"); said != "" {
		t.Errorf("user units:\n%s", said)
	}
}
