// Package device is what a device keeps outside the database and its backups:
// its identity and secrets, the pinned head of the ledger, and the lock that
// lets one daemon run on a home.
//
// The directory (0700) holds these files, all 0600:
//
//	keys        identity, share, key seeds and the home they belong to (JSON)
//	device.pub  identity and public keys, for programs that check who answers
//	pin         the last head of the ledger that this device has seen
//	tpm-*       what the device's TPM has sealed, by the id of a slot; where there is any
//	moved       that the ledger went to another device; where it did
//
// The binding to a home finds mistakes (a copied home would fork the ledger); it
// is no defence against a program of the same user, who can read and write all
// of this.
package device

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/fault"
)

// Device is an opened device. Its secrets live in what its function fields have
// captured, where no formatting, encoding or reflection finds them. The zero
// Device has none and panics. Methods may be called at the same time.
type Device struct {
	id     string
	dir    string
	public func() []byte // Ed25519
	kem    func() []byte // MLKEM768X25519
	sign   func(msg []byte) []byte
	keys   func(func(*keyFile) error) error // lends the keys under a lock
	pins   *pins
}

// Create makes the device of a new home in dir, bound to the data directory,
// which must exist. A device that is there gives fault.Exists. The caller holds
// the home's lock.
//
// The keys are written last: a Create that a crash cut short can be repeated.
func Create(dir, dataDir string, rand io.Reader) (*Device, error) {
	const op = "create device"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, dir, err)
	}
	if err := CheckFolders(dir); err != nil {
		return nil, err
	}
	if err := vacant(dir); err != nil {
		return nil, err
	}
	home, err := bind(dataDir)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, dataDir, err)
	}
	k, err := newKeys(home, rand)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, "", err)
	}
	defer k.wipe()
	pub, err := k.publicFile()
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, pinName), firstPins(k.ID), 0o600)
	}
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, pubName), pub, 0o600)
	}
	if err == nil {
		err = k.write(dir)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, dir, err)
	}
	return Open(dir, dataDir)
}

// vacant refuses a directory that holds a device, or the pin of one that has
// seen a ledger: without it a rollback could not be told.
func vacant(dir string) error {
	exists := func(name string) error {
		return fault.New(fault.Exists, "create device", filepath.Join(dir, name), "this home has a device")
	}
	if _, err := os.Lstat(filepath.Join(dir, keysName)); !errors.Is(err, fs.ErrNotExist) {
		return exists(keysName)
	}
	f, err := atomicfile.OpenPrivate(filepath.Join(dir, pinName), false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refused("create device", err)
	}
	defer f.Close()
	if !untouched(f) {
		return exists(pinName).(*fault.Error).WithHint("its keys are gone; move the directory away if it is of no use any more")
	}
	return nil
}

// Open opens the device in dir. It fails with fault.Empty where there is none,
// fault.Denied where others may read it or the home was copied or moved, and
// fault.Tampered where a file is not what was written.
func Open(dir, dataDir string) (*Device, error) {
	const op = "open device"
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, empty(dir)
	}
	if err := CheckFolders(dir); err != nil {
		return nil, err
	}
	k, err := readKeys(dir)
	if err != nil {
		return nil, err
	}
	home, err := bind(dataDir)
	if err != nil {
		k.wipe()
		return nil, fault.Wrap(fault.Unavailable, op, dataDir, err)
	}
	if !k.Home.same(home) {
		k.wipe()
		return nil, fault.New(fault.Denied, op, home.Path, "this home was copied or moved").
			WithHint("it belongs at " + atomicfile.Quote(k.Home.Path) + "; move it back, since a second copy would fork the ledger")
	}
	d := &Device{id: k.ID, dir: dir}
	if err := d.hold(k); err != nil {
		k.wipe()
		return nil, err
	}
	if err := d.checkPublic(k); err != nil {
		k.wipe()
		return nil, err
	}
	if d.pins, err = openPins(filepath.Join(dir, pinName), k.ID); err != nil {
		k.wipe()
		return nil, err
	}
	return d, nil
}

// Rehome binds the device to a data directory that was made anew at its old
// place, after the files were lost. It must be empty: then no ledger stands in
// it that could be a copy. Anything else is fault.Denied. The caller holds the
// home's lock and has no Device open.
func Rehome(dir, dataDir string) error {
	const op = "bind device"
	if err := CheckFolders(dir); err != nil {
		return err
	}
	k, err := readKeys(dir)
	if err != nil {
		return err
	}
	defer k.wipe()
	home, err := bind(dataDir)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, dataDir, err)
	}
	list, err := os.ReadDir(dataDir)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, dataDir, err)
	}
	if k.Home.Path != home.Path || len(list) > 0 {
		return fault.New(fault.Denied, op, home.Path, "is not the empty place of this device's home")
	}
	k.Home = home
	if err := k.write(dir); err != nil {
		return fault.Wrap(fault.Unavailable, op, dir, err)
	}
	return nil
}

// hold builds the closures around the keys.
func (d *Device) hold(k *keyFile) error {
	signer := ed25519.NewKeyFromSeed(k.Sign)
	pub := signer.Public().(ed25519.PublicKey)
	key, err := hpke.MLKEM768X25519().NewPrivateKey(k.KEM)
	if err != nil {
		return fault.Wrap(fault.Tampered, "open device", keysName, err)
	}
	kem := key.PublicKey().Bytes()
	var mu sync.Mutex
	d.public = func() []byte { return bytes.Clone(pub) }
	d.kem = func() []byte { return bytes.Clone(kem) }
	d.sign = func(msg []byte) []byte { return ed25519.Sign(signer, msg) }
	d.keys = func(use func(*keyFile) error) error {
		mu.Lock()
		defer mu.Unlock()
		return use(k)
	}
	return nil
}

// checkPublic compares device.pub with the keys, and writes it again where it is
// missing.
func (d *Device) checkPublic(k *keyFile) error {
	want, err := k.publicFile()
	if err != nil {
		return fault.Wrap(fault.Tampered, "open device", keysName, err)
	}
	path := filepath.Join(d.dir, pubName)
	got, err := atomicfile.ReadPrivate(path, maxKeys)
	if errors.Is(err, fs.ErrNotExist) {
		if err := atomicfile.Write(path, want, 0o600); err != nil {
			return fault.Wrap(fault.Unavailable, "open device", path, err)
		}
		return nil
	}
	if err != nil {
		return refused("open device", err)
	}
	if !bytes.Equal(got, want) {
		return fault.New(fault.Tampered, "open device", path, "does not hold this device's public keys").
			WithHint("programs trusted it to recognise the daemon: find out who changed it, then delete it")
	}
	return nil
}

// Close closes the pin and wipes what secrets it can reach. The Device must not
// be used afterwards.
func (d *Device) Close() error {
	_ = d.keys(func(k *keyFile) error {
		k.wipe()
		k.Share, k.Next = nil, nil // so that no share of zeros is ever lent
		return nil
	})
	return d.pins.close()
}

// ID returns the device's id: 26 characters of lower-case Crockford base32.
func (d *Device) ID() string { return d.id }

// Public returns the Ed25519 key that checks Sign.
func (d *Device) Public() ed25519.PublicKey { return d.public() }

// KEMPublic returns the HPKE public key, MLKEM768X25519, serialized.
func (d *Device) KEMPublic() []byte { return d.kem() }

// Sign signs msg with Ed25519. Whoever calls it puts a domain in front of msg,
// lest a signature for one purpose serve another.
func (d *Device) Sign(msg []byte) []byte { return d.sign(msg) }

// Pin returns the pinned head of the highest counter. It is fault.Tampered when
// no slot is what was written.
func (d *Device) Pin() (Pin, error) { return d.pins.read() }

// SetPin moves the pin on; with sync it is on the disk when SetPin returns.
// Without, a power failure may bring back the last synced pin, and no older one.
// Going back in any number, or to another hash at the same numbers, is
// fault.Held and writes nothing.
func (d *Device) SetPin(p Pin, sync bool) error { return d.pins.set(p, sync, false) }

// RestorePin sets the pin to any value, synced. Only a person's decision to go
// on with an older database may lead here.
func (d *Device) RestorePin(p Pin) error { return d.pins.set(p, true, true) }

func empty(dir string) error {
	return fault.New(fault.Empty, "open device", dir, "this home has no device yet").WithHint("run `thumbturn init`")
}

// refused turns an error of atomicfile into one with a kind: a file that others
// may touch is fault.Denied, an I/O error is fault.Unavailable.
func refused(op string, err error) error {
	e, ok := errors.AsType[*atomicfile.Error](err)
	if !ok || e.Err != nil {
		return fault.Wrap(fault.Unavailable, op, "", err)
	}
	out := fault.New(fault.Denied, op, e.Path, e.Msg)
	if e.Hint != "" {
		return out.WithHint("run: " + e.Hint)
	}
	return out
}
