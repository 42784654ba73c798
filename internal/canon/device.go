package canon

import (
	"bytes"
	"crypto/ed25519"
	"errors"
)

// Device is the payload of the statement by which the ledger goes over to another
// device; its subject is "device". That device signs the head that covers the
// statement, and all after it.
type Device struct {
	V         int    `json:"v"`
	Device    string `json:"device"`
	DeviceKey Bytes  `json:"device_key"` // Ed25519 public key that signs heads from here on
	DeviceKEM Bytes  `json:"device_kem"` // HPKE public key of the device
	Head      string `json:"head"`       // the last head of the device before, whole: it vouches for what was
	Created   int64  `json:"created"`    // unix milliseconds
}

// Installation is a device as it shows itself: the content of its file device.pub,
// and what a ledger is moved to.
type Installation struct {
	V         int    `json:"v"`
	ID        string `json:"id"`
	DeviceKey Bytes  `json:"device_key"`
	DeviceKEM Bytes  `json:"device_kem"`
}

// kemSize is the length of a serialized X-Wing public key.
const kemSize = 1216

// ParseInstallation reads the file device.pub of a device.
func ParseInstallation(b []byte) (Installation, error) {
	var d Installation
	if err := Decode(bytes.TrimSuffix(b, []byte("\n")), &d); err != nil {
		return d, err
	}
	return d, d.Check()
}

// File is the content of device.pub: one line, with its end.
func (d Installation) File() []byte { return append(Encode(d), '\n') }

// Check refuses what no device shows of itself.
func (d Installation) Check() error {
	if d.V != 1 || !IsID(d.ID) || len(d.DeviceKey) != ed25519.PublicKeySize || len(d.DeviceKEM) != kemSize {
		return errors.New("canon: not the public half of a device")
	}
	return nil
}

// Code is what two people compare, or one at two computers, before a ledger goes
// from one device to the other: 20 characters in five groups, 100 bits of a hash
// over both keys, so that nobody makes another device with the same code.
func (d Installation) Code() string {
	h := Digest(DomainDevice, Tuple(d.ID, string(d.DeviceKey), string(d.DeviceKEM)))
	s := crockford.EncodeToString(h[:13])
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20]
}

// Move is a ledger on its way to another device: the statement that names the
// device, signed by the root key, and the share, which that device alone can open.
type Move struct {
	V     int          `json:"v"`
	To    Installation `json:"to"`
	Body  Bytes        `json:"body"` // of the statement
	Sig   Bytes        `json:"sig"`
	Share Bytes        `json:"share"` // sealed to the device's HPKE key
	Time  int64        `json:"time"`  // unix milliseconds
}
