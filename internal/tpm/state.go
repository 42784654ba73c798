package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// maxLimit is the greatest number of tries that still counts as a limit.
const maxLimit = 1000

// State is what a TPM says of itself. Nothing vouches for it but the TPM's word,
// which whoever sits on the bus could change.
type State struct {
	Manufacturer string        // four letters at most, as "IFX" or "AMD"
	Failures     uint32        // wrong authorizations that it holds against all its users; a power cut may count as one
	Limit        uint32        // at which it refuses all
	Forgets      time.Duration // after each, it counts one failure less
	Locked       bool          // it refuses all now
}

// Guards reports whether the TPM puts a limit on wrong PINs.
func (s State) Guards() bool { return s.Limit > 0 && s.Limit <= maxLimit && s.Forgets > 0 }

// Left is how many more wrong PINs the TPM takes.
func (s State) Left() uint32 {
	if s.Locked || s.Failures >= s.Limit {
		return 0
	}
	return s.Limit - s.Failures
}

// inLockout is the bit of TPMA_PERMANENT that says so.
const inLockout = 1 << 9

func (w *wire) state(op string) (State, error) {
	var s State
	fixed, err := w.properties(tpm2.TPMPTManufacturer, 1)
	if err != nil {
		return s, silent(op, err)
	}
	now, err := w.properties(tpm2.TPMPTPermanent, 20)
	if err != nil {
		return s, silent(op, err)
	}
	failures, ok1 := now[tpm2.TPMPTLockoutCounter]
	limit, ok2 := now[tpm2.TPMPTMaxAuthFail]
	seconds, ok3 := now[tpm2.TPMPTLockoutInterval]
	permanent, ok4 := now[tpm2.TPMPTPermanent]
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return s, fault.New(fault.Unavailable, op, "", "the TPM does not tell its limit on wrong PINs")
	}
	return State{
		Manufacturer: letters(fixed[tpm2.TPMPTManufacturer]),
		Failures:     failures,
		Limit:        limit,
		Forgets:      time.Duration(seconds) * time.Second,
		Locked:       permanent&inLockout != 0 || failures >= limit,
	}, nil
}

// properties reads some properties of the TPM from one on.
func (w *wire) properties(from tpm2.TPMPT, count uint32) (map[tpm2.TPMPT]uint32, error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(from), PropertyCount: count}.Execute(w)
	if err != nil {
		return nil, err
	}
	list, err := rsp.CapabilityData.Data.TPMProperties()
	if err != nil {
		return nil, err
	}
	all := map[tpm2.TPMPT]uint32{}
	for _, p := range list.TPMProperty {
		all[p.Property] = p.Value
	}
	return all, nil
}

// letters reads a number as the text that the TPM means by it.
func letters(n uint32) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(binary.BigEndian.AppendUint32(nil, n))))
}

// wrong is the error for a wrong PIN.
func (w *wire) wrong(op string) error {
	e := fault.New(fault.Passphrase, op, "", "the PIN is wrong")
	s, err := w.state(op)
	switch {
	case err != nil:
		return e.WithHint("after a few wrong PINs the TPM refuses the right one too")
	case s.Left() == 0:
		return e.WithHint("that was the last try; " + s.wait())
	case s.Left() == 1:
		return e.WithHint("1 try left before the TPM refuses all")
	}
	return e.WithHint(fmt.Sprintf("%d tries left before the TPM refuses all", s.Left()))
}

// lockedOut is the error for a TPM that has seen too many wrong PINs.
func (w *wire) lockedOut(op string) error {
	e := fault.New(fault.Denied, op, "", "the TPM has seen too many wrong PINs and refuses all")
	s, err := w.state(op)
	if err != nil {
		return e.WithHint("try again later, with the machine left on")
	}
	return e.WithHint(s.wait())
}

// wait says when the TPM takes a PIN again. When it last forgot a failure nobody
// tells, so it is a bound.
func (s State) wait() string {
	if s.Forgets == 0 {
		return "the TPM does not tell when it takes one again"
	}
	return "it takes one again in at most " + s.Forgets.String() + ", with the machine left on"
}

// silent is the error for a TPM that cannot do it now, or does not answer.
func silent(op string, err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return fault.Wrap(fault.Unavailable, op, "", fmt.Errorf("the TPM did not do it: %w", err)).
		WithHint("try again; where it stays so, restart the machine")
}

// refused is the error for a blob that the TPM did not take.
func refused(op string, err error) error {
	if detail, ok := errors.AsType[tpm2.TPMFmt1Error](err); ok {
		if session, _ := detail.Session(); !session {
			e := fault.New(fault.Tampered, op, "", "the TPM does not take it: damaged, or not of this TPM")
			e.Err = err
			return e
		}
	}
	return silent(op, err)
}

// absent is the error for a machine without a TPM that this process may use.
func absent(op string, err error) error {
	e := fault.Wrap(fault.Unavailable, op, "", fmt.Errorf("no TPM 2.0: %w", err))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return e.WithHint("let the daemon's user use the TPM; on most systems, by the group tss")
	case errors.Is(err, fs.ErrNotExist):
		return e.WithHint("switch the TPM on in the firmware's setup, where the machine has one")
	}
	return e.WithHint("use another slot")
}
