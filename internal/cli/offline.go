package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/cli/audit"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/proof"
)

// maxReceipt bounds a proof or anchor file.
const maxReceipt = 16 << 20

// verifyOffline checks files without a daemon, by the independent verifier.
func verifyOffline(_ context.Context, c audit.Check, out io.Writer) error {
	if c.Proof != "" {
		var key []byte
		if c.Device != "" {
			var err error
			if key, err = hex.DecodeString(c.Device); err != nil || len(key) != ed25519.PublicKeySize {
				return fault.New(fault.Usage, "audit verify", "", "a device key is 64 hexadecimal digits")
			}
		}
		b, err := readFile(c.Proof)
		if err != nil {
			return err
		}
		ev, err := proof.Receipt(b, key)
		if err != nil {
			return refuted(c.Proof, err)
		}
		fmt.Fprintf(out, "event %d is in the ledger of %s\ndevice key:      %x\ntrusted because: %s\n%s\n", ev.N, ev.Head.Device, ev.Head.Key, ev.TrustedBecause, ev.Body)
		return nil
	}
	o := proof.Options{Approvals: c.Approvals}
	if c.Root != "" {
		fp, err := proof.ParseFingerprint(c.Root)
		if err != nil {
			return fault.Wrap(fault.Usage, "audit verify", "", err)
		}
		o.Root = fp
	}
	in, done, err := ledger(c)
	if err != nil {
		return err
	}
	defer done()
	var rep proof.Report
	if c.Since == "" {
		rep, err = proof.Verify(in, o)
	} else {
		var anchor []byte
		if anchor, err = readFile(c.Since); err == nil {
			rep, err = proof.Since(in, anchor, o)
		}
	}
	if err != nil {
		return refuted(c.Export, err)
	}
	if c.JSON {
		return reportJSON(out, rep)
	}
	fmt.Fprintf(out, "statements:  %d\nevents:      %d\ndevice:      %s\ndevice key:  %x\nroot key:    %x\n", rep.Statements, rep.Events, rep.Device, rep.DeviceKey, rep.Root)
	if rep.TestHome {
		fmt.Fprintln(out, "test home:   yes: not for real secrets")
	}
	if rep.Approvals != nil {
		reportApprovals(out, *rep.Approvals)
	}
	fmt.Fprintf(out, "trusted because: %s\neverything agrees\n", rep.TrustedBecause)
	return nil
}

// ledger opens the export that a check is of.
func ledger(c audit.Check) (in io.Reader, done func(), err error) {
	if c.Ledger != nil {
		return c.Ledger, func() {}, nil
	}
	f, err := os.Open(c.Export)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Unavailable, "audit verify", c.Export, err)
	}
	in = f
	if fi, err := f.Stat(); err == nil && c.Watch != nil {
		in = c.Watch(f, fi.Size())
	}
	return in, func() { _ = f.Close() }, nil
}

// reportApprovals says who approved, and how much of that anybody can check.
func reportApprovals(out io.Writer, a proof.Approvals) {
	fmt.Fprintf(out, "approvals:   %d\n", a.Requests)
	for _, tier := range slices.Sorted(maps.Keys(a.Tiers)) {
		fmt.Fprintf(out, "  %-20s %d\n", tier, a.Tiers[tier])
	}
	fmt.Fprintf(out, "signatures:  %d of passkeys, all valid\n", a.Assertions)
	for _, p := range a.Passkeys {
		removed := ""
		if p.Removed {
			removed = ", removed"
		}
		fmt.Fprintf(out, "  %-20s %d  (%s%s)\n", canon.Escape(p.Name), p.Uses, canon.Escape(p.ID), removed)
	}
	fmt.Fprintf(out, "intents:     %d, of guarded vaults %d, of those by passkey %d\n", a.Intents, a.Presence, a.Signed)
}

// The report of an export as JSON.
type (
	exportJSON struct {
		Statements     int64          `json:"statements"`
		Events         int64          `json:"events"`
		Device         string         `json:"device"`
		DeviceKey      string         `json:"device_key"`
		Root           string         `json:"root"`
		TestHome       bool           `json:"test_home"`
		Head           string         `json:"head"`
		TrustedBecause string         `json:"trusted_because"`
		Approvals      *approvalsJSON `json:"approvals,omitempty"`
	}
	approvalsJSON struct {
		Requests   int64            `json:"requests"`
		Tiers      map[string]int64 `json:"tiers"`
		Assertions int64            `json:"assertions"`
		Passkeys   []passkeyJSON    `json:"passkeys"`
		Intents    int64            `json:"intents"`
		Guarded    int64            `json:"guarded"`
		Signed     int64            `json:"signed"`
	}
	passkeyJSON struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Uses    int64  `json:"uses"`
		Removed bool   `json:"removed"`
	}
)

func reportJSON(out io.Writer, r proof.Report) error {
	v := exportJSON{Statements: r.Statements, Events: r.Events, Device: r.Device, DeviceKey: hex.EncodeToString(r.DeviceKey),
		Root: hex.EncodeToString(r.Root[:]), TestHome: r.TestHome, Head: r.Head, TrustedBecause: r.TrustedBecause}
	if a := r.Approvals; a != nil {
		v.Approvals = &approvalsJSON{a.Requests, a.Tiers, a.Assertions, []passkeyJSON{}, a.Intents, a.Presence, a.Signed}
		for _, p := range a.Passkeys {
			v.Approvals.Passkeys = append(v.Approvals.Passkeys, passkeyJSON{p.ID, p.Name, p.Uses, p.Removed})
		}
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit verify", path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxReceipt+1))
	if err == nil && len(b) > maxReceipt {
		err = errors.New("the file is too large to be a proof")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit verify", path, err)
	}
	return b, nil
}

// refuted names what a check found wrong.
func refuted(path string, err error) error {
	if e, ok := errors.AsType[*proof.Error](err); ok {
		return fault.New(fault.Tampered, "audit verify", path, e.Error())
	}
	return fault.Wrap(fault.Unavailable, "audit verify", path, err)
}
