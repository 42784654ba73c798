package device

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"unicode/utf8"

	"github.com/thumbturn/thumbturn/internal/atomicfile"
	"github.com/thumbturn/thumbturn/internal/canon"
	"github.com/thumbturn/thumbturn/internal/fault"
)

const (
	keysName = "keys"
	pubName  = "device.pub"
	pinName  = "pin"
	maxKeys  = 16 << 10 // bytes of keys and of device.pub
	secret   = 32       // bytes of the share and of each seed
	version  = 1
)

// keyFile is the file keys, in the order of its fields. Next is a share whose
// slots may or may not be in the database: see Rotation.
type keyFile struct {
	V     int    `json:"v"`
	ID    string `json:"id"`
	Share []byte `json:"share"`
	Next  []byte `json:"next_share,omitempty"`
	Sign  []byte `json:"sign_seed"`
	KEM   []byte `json:"kem_seed"`
	Home  home   `json:"home"`
}

// home says which data directory the device belongs to.
type home struct {
	Path  string `json:"path"` // absolute, links resolved
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
}

// same compares path and inode. The device number is recorded as evidence only:
// btrfs, device mapper and APFS number their volumes anew at each start, and a
// reboot is no move.
func (h home) same(now home) bool { return h.Path == now.Path && h.Inode == now.Inode }

// bind describes a data directory that exists.
func bind(dataDir string) (home, error) {
	path, err := filepath.Abs(dataDir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return home{}, err
	}
	if !utf8.ValidString(path) {
		return home{}, errors.New("the path is not UTF-8")
	}
	dev, inode, err := identify(path)
	return home{Path: path, Dev: dev, Inode: inode}, err
}

func newKeys(h home, rand io.Reader) (*keyFile, error) {
	k := &keyFile{V: version, Share: make([]byte, secret), Sign: make([]byte, secret), KEM: make([]byte, secret), Home: h}
	var err error
	if k.ID, err = canon.NewID(rand); err != nil {
		return nil, err
	}
	for _, b := range [][]byte{k.Share, k.Sign, k.KEM} {
		if _, err := io.ReadFull(rand, b); err != nil {
			k.wipe()
			return nil, fmt.Errorf("no randomness: %w", err)
		}
	}
	return k, nil
}

// readKeys reads and checks the file keys.
func readKeys(dir string) (*keyFile, error) {
	path := filepath.Join(dir, keysName)
	data, err := atomicfile.ReadPrivate(path, maxKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, empty(dir)
	}
	if err != nil {
		return nil, refused("open device", err)
	}
	defer clear(data)
	k, err := parseKeys(data)
	if err != nil {
		return nil, fault.New(fault.Tampered, "open device", path, err.Error())
	}
	return k, nil
}

// parseKeys accepts exactly what encode writes: one spelling, no unknown and no
// repeated member, nothing behind. Its errors hold nothing of the input, unlike
// those of encoding/json.
func parseKeys(data []byte) (*keyFile, error) {
	k := &keyFile{}
	if json.Unmarshal(data, k) != nil {
		k.wipe()
		return nil, errors.New("is not what was written")
	}
	again, err := k.encode()
	defer clear(again)
	switch {
	case k.V != version:
		err = fmt.Errorf("has format %d, this program knows %d", k.V, version)
	case err != nil || !bytes.Equal(again, data):
		err = errors.New("is not what was written")
	case !canon.IsID(k.ID), len(k.Share) != secret, len(k.Sign) != secret, len(k.KEM) != secret,
		k.Next != nil && len(k.Next) != secret, !filepath.IsAbs(k.Home.Path):
		err = errors.New("holds a member of the wrong form")
	}
	if err != nil {
		k.wipe()
		return nil, err
	}
	return k, nil
}

func (k *keyFile) encode() ([]byte, error) {
	b, err := json.Marshal(k)
	return append(b, '\n'), err
}

func (k *keyFile) write(dir string) error {
	b, err := k.encode()
	defer clear(b)
	if err != nil {
		return errors.New("keys cannot be encoded")
	}
	return atomicfile.Write(filepath.Join(dir, keysName), b, 0o600)
}

func (k *keyFile) wipe() {
	for _, b := range [][]byte{k.Share, k.Next, k.Sign, k.KEM} {
		clear(b)
	}
}

// publicFile is the content of device.pub.
func (k *keyFile) publicFile() ([]byte, error) {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(k.KEM)
	if err != nil {
		return nil, err
	}
	signer := ed25519.NewKeyFromSeed(k.Sign)
	defer clear(signer)
	return canon.Installation{V: version, ID: k.ID, DeviceKey: canon.Bytes(signer.Public().(ed25519.PublicKey)),
		DeviceKEM: key.PublicKey().Bytes()}.File(), nil
}
