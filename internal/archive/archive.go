// Package archive is the form of a backup: a tar file that begins with a
// manifest of its parts and holds nothing that the manifest does not name. It is
// ciphertext but for the policy, ids, counts and times; the share of the device
// is not in it.
//
// The digests in the manifest find accidents, not forgers. What a forger could
// do is found by the ledger inside: its head is signed.
package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/thumbturn/thumbturn/internal/fault"
)

// Version of the form. A reader refuses any other.
const Version = 1

// Database is the name of the part that holds the database; Config is the
// folder of the drafts; Move, the last part of a ledger that was moved to another
// device, is what that device needs.
const (
	Database = "data/thumbturn.db"
	Config   = "config/"
	Move     = "device/move"
)

const (
	manifestName = "manifest.json"
	maxManifest  = 1 << 20
	maxParts     = 256
	maxConfig    = 1 << 20 // a file of config
	maxDatabase  = 1 << 40
)

// Manifest says what a backup is of.
type Manifest struct {
	V          int    `json:"v"`
	Account    string `json:"account"`
	Device     string `json:"device"`
	TestHome   bool   `json:"test_home"`
	Statements int64  `json:"statements"`
	Events     int64  `json:"events"`
	Head       string `json:"head"` // the signed head of the database's ledger
	Time       int64  `json:"time"` // unix milliseconds
	Parts      []Part `json:"parts"`
}

// Part is one file.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

const (
	opWrite = "write backup"
	opRead  = "read backup"
)

func bad(ref, msg string) error { return fault.New(fault.Tampered, opRead, ref, msg) }

// check refuses a manifest that this version does not understand, or whose parts
// would land anywhere but in data and config.
func (m Manifest) check() error {
	if m.V != Version {
		return fault.New(fault.Protocol, opRead, manifestName, "the backup has a form that this version does not know").WithHint("update thumbturn")
	}
	if len(m.Parts) == 0 || len(m.Parts) > maxParts || m.Parts[0].Name != Database {
		return bad(manifestName, "a backup begins with its database")
	}
	last := ""
	for i, p := range m.Parts {
		limit := int64(maxDatabase)
		if i > 0 {
			limit = maxConfig
			name, ok := strings.CutPrefix(p.Name, Config)
			if fits := ok && plain(name) || p.Name == Move; !fits || p.Name <= last {
				return bad(p.Name, "no name of a part")
			}
			last = p.Name
		}
		sum, err := hex.DecodeString(p.SHA256)
		if p.Size < 0 || p.Size > limit || err != nil || len(sum) != sha256.Size || p.SHA256 != hex.EncodeToString(sum) {
			return bad(p.Name, "no size or digest of a part")
		}
	}
	return nil
}

// Moved reports whether the backup carries a ledger to another device.
func (m Manifest) Moved() bool { return len(m.Parts) > 0 && m.Parts[len(m.Parts)-1].Name == Move }

// plain accepts the name of a file in a folder, and nothing that leads out of it
// or is hidden.
func plain(name string) bool {
	return name != "" && len(name) <= 200 && name[0] != '.' && path.Base(name) == name && !strings.ContainsAny(name, "\\:\x00")
}

// Fits reports whether a file of config can be a part.
func Fits(name string, size int64) bool { return plain(name) && size <= maxConfig }

// Sum reads r to its end and describes it as a part.
func Sum(name string, r io.Reader) (Part, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return Part{Name: name, Size: n, SHA256: hexSum(h)}, err
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// Write writes a backup. open gives the content of each part, which must be the
// one that the manifest describes.
func Write(w io.Writer, m Manifest, open func(name string) (io.ReadCloser, error)) error {
	if err := m.check(); err != nil {
		return err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := put(t, manifestName, int64(len(b)), bytes.NewReader(b)); err != nil {
		return err
	}
	for _, p := range m.Parts {
		f, err := open(p.Name)
		if err != nil {
			return fault.Wrap(fault.Unavailable, opWrite, p.Name, err)
		}
		h := sha256.New()
		err = put(t, p.Name, p.Size, io.TeeReader(f, h))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if hexSum(h) != p.SHA256 {
			return fault.New(fault.Conflict, opWrite, p.Name, "it changed meanwhile").WithHint("try again")
		}
	}
	return t.Close()
}

// put writes one entry. Its header holds a name and a size alone, so that equal
// homes give equal bytes.
func put(t *tar.Writer, name string, size int64, r io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
		return err
	}
	n, err := io.CopyN(t, r, size)
	if errors.Is(err, io.EOF) && n < size {
		return fault.New(fault.Conflict, opWrite, name, "it changed meanwhile").WithHint("try again")
	}
	return err
}

// Read reads a backup to its end and compares every part with the manifest. take
// is lent each part's content, and may be nil; what it built counts only once
// Read has returned without an error. Errors of r are Unavailable.
func Read(r io.Reader, take func(Part, io.Reader) error) (Manifest, error) {
	var m Manifest
	t := tar.NewReader(r)
	h, err := next(t, manifestName)
	if err != nil {
		return m, err
	}
	if h.Size > maxManifest {
		return m, bad(manifestName, "too large")
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return m, broken(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	// A later form may have more members: its number is looked at first.
	var v struct {
		V int `json:"v"`
	}
	if json.Unmarshal(b, &v) == nil && v.V > Version {
		return m, Manifest{V: v.V}.check()
	}
	if err := d.Decode(&m); err != nil {
		return m, bad(manifestName, "malformed")
	}
	if err := m.check(); err != nil {
		return m, err
	}
	for _, p := range m.Parts {
		if err := part(t, p, take); err != nil {
			return Manifest{}, err
		}
	}
	if _, err := t.Next(); err != io.EOF {
		return Manifest{}, bad("", "it holds more than its manifest names")
	}
	return m, nil
}

func part(t *tar.Reader, p Part, take func(Part, io.Reader) error) error {
	h, err := next(t, p.Name)
	if err != nil {
		return err
	}
	if h.Size != p.Size {
		return bad(p.Name, "not of the size that the manifest gives")
	}
	sum := sha256.New()
	from := &source{r: t}
	content := io.TeeReader(from, sum)
	if take != nil {
		err := take(p, content)
		if from.err != nil {
			return broken(from.err) // whatever take made of it
		}
		if err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return broken(err)
	}
	if hexSum(sum) != p.SHA256 {
		return bad(p.Name, "its content is not the one that the manifest names")
	}
	return nil
}

// source remembers why reading failed.
type source struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// next reads the header of an entry that must have a name and be a file.
func next(t *tar.Reader, name string) (*tar.Header, error) {
	h, err := t.Next()
	if err != nil {
		return nil, broken(err)
	}
	if h.Name != name || h.Typeflag != tar.TypeReg {
		return nil, bad(name, "this is not a Thumbturn backup, or not a whole one")
	}
	return h, nil
}

// broken tells a file that ends early or is none of ours from one that cannot be
// read.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return bad("", "this is not a Thumbturn backup, or not a whole one")
	}
	return fault.Wrap(fault.Unavailable, opRead, "", err)
}
