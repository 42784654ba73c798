package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

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
	var o proof.Options
	if c.Root != "" {
		fp, err := proof.ParseFingerprint(c.Root)
		if err != nil {
			return fault.Wrap(fault.Usage, "audit verify", "", err)
		}
		o.Root = fp
	}
	f, err := os.Open(c.Export)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "audit verify", c.Export, err)
	}
	defer f.Close()
	var in io.Reader = f
	if fi, err := f.Stat(); err == nil && c.Watch != nil {
		in = c.Watch(f, fi.Size())
	}
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
	fmt.Fprintf(out, "statements:  %d\nevents:      %d\ndevice:      %s\ndevice key:  %x\nroot key:    %x\n", rep.Statements, rep.Events, rep.Device, rep.DeviceKey, rep.Root)
	if rep.TestHome {
		fmt.Fprintln(out, "test home:   yes: not for real secrets")
	}
	fmt.Fprintf(out, "trusted because: %s\neverything agrees\n", rep.TrustedBecause)
	return nil
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
