// Package chip is the PIN of this device's TPM as a way in. The TPM gives a secret
// against the PIN, and counts the wrong ones; the secret opens slots of the roster as
// a passphrase would. What the TPM has sealed lies in the device's folder, under the
// id of the slot by which the PIN opens the account: of a database from elsewhere the
// slots are there, and nothing here opens them.
package chip

import (
	"errors"

	"github.com/thumbturn/thumbturn/internal/broker/internal/slot"
	"github.com/thumbturn/thumbturn/internal/device"
	"github.com/thumbturn/thumbturn/internal/fault"
	"github.com/thumbturn/thumbturn/internal/tpm"
)

// TPM keeps 32 bytes behind a PIN: see package tpm.
type TPM interface {
	Seal(secret, pin []byte) (blob []byte, err error)
	Unseal(blob, pin []byte, use func(secret []byte) error) error
	State() (tpm.State, error)
}

// Chip is the device's TPM and what it has sealed. Its TPM may be nil, which is
// none; the zero Chip opens nothing.
type Chip struct {
	TPM    TPM
	Device *device.Device
}

// State asks the TPM what it is.
func (c Chip) State() (tpm.State, error) {
	if c.TPM == nil {
		return tpm.State{}, none("status")
	}
	return c.TPM.State()
}

func none(op string) error {
	return fault.New(fault.Unavailable, op, "", "no TPM 2.0").WithHint("use another way to approve")
}

// Has reports whether a roster's PIN was set on this device, so that it can be asked
// for. Whether the TPM still takes it, only trying tells.
func (c Chip) Has(r slot.Roster) bool {
	b, err := c.blob(r)
	return err == nil && b != nil
}

// blob is what the TPM has sealed for a roster; nil where that is not here.
func (c Chip) blob(r slot.Roster) ([]byte, error) {
	id, ok := r.PINSlot()
	if !ok || c.Device == nil {
		return nil, nil
	}
	return c.Device.Blob(id)
}

// Open lends the secret that the TPM gives against the PIN of a roster.
func (c Chip) Open(r slot.Roster, pin []byte, use func(secret []byte) error) error {
	const op = "pin"
	id, ok := r.PINSlot()
	if !ok {
		return fault.New(fault.Denied, op, "", "no PIN is set").WithHint("`thumbturn pin set` sets one")
	}
	b, err := c.blob(r)
	switch {
	case err != nil:
		return err
	case b == nil:
		return fault.New(fault.Unavailable, op, id, "the PIN was set on another device, or what this one's TPM kept for it is gone").
			WithHint("approve another way, and set it here: thumbturn pin set")
	case c.TPM == nil:
		return none(op)
	}
	err = c.TPM.Unseal(b, pin, use)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.Tampered && e.Hint == "" {
		err = e.WithHint("approve another way, and set the PIN again: thumbturn pin set")
	}
	return err
}

// Sealed has the TPM seal a secret, and lends it once more as it comes back: only what
// opens again may count.
func (c Chip) Sealed(secret, pin []byte, again func(secret []byte) error) (blob []byte, err error) {
	if c.TPM == nil {
		return nil, none("pin set")
	}
	if blob, err = c.TPM.Seal(secret, pin); err == nil {
		err = c.TPM.Unseal(blob, pin, again)
	}
	return blob, err
}

// Settle forgets what the TPM sealed for any slot but that of a roster, which must be
// the one in force.
func (c Chip) Settle(r slot.Roster) error {
	if c.Device == nil || r.Version == 0 {
		return nil
	}
	id, _ := r.PINSlot()
	return c.Device.KeepBlob(id)
}
