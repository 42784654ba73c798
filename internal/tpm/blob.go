package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"
)

// The blob, version 1. Numbers are big-endian.
//
//	4   "TTPM"
//	1   version, 1
//	32  salt of the PIN
//	34  name of the storage key: its hash algorithm and hash
//	32  what is unique in the public part; all else in it is fixed
//	2   length of the private part, at most 512
//	..  private part, the buffer of a TPM2B_PRIVATE, encrypted by the TPM
//	32  SHA-256 of a domain and all before it
//
// Nothing may follow. The hash tells damage from a wrong PIN, so that damage to the
// salt costs no tries; against changes on purpose, the TPM has its own.
const (
	magic      = "TTPM\x01"
	saltSize   = 32
	nameSize   = 2 + sha256.Size
	uniqueSize = sha256.Size
	maxPrivate = 512
	fixedSize  = len(magic) + saltSize + nameSize + uniqueSize + 2 + sha256.Size
)

// sealed is what a blob says.
type sealed struct {
	salt    [saltSize]byte
	parent  [nameSize]byte
	unique  [uniqueSize]byte
	private []byte
}

var errBlob = errors.New("not a blob of a TPM, or damaged")

func (b *sealed) marshal() []byte {
	out := append([]byte(magic), b.salt[:]...)
	out = append(out, b.parent[:]...)
	out = append(out, b.unique[:]...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(b.private)))
	out = append(out, b.private...)
	sum := checksum(out)
	return append(out, sum[:]...)
}

func checksum(body []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("thumbturn/tpm/blob/v1\x00"), body...))
}

// parse reads a blob.
func parse(blob []byte) (*sealed, error) {
	if len(blob) <= fixedSize || len(blob) > fixedSize+maxPrivate || string(blob[:len(magic)]) != magic {
		return nil, errBlob
	}
	body := blob[:len(blob)-sha256.Size]
	sum := checksum(body)
	if !bytes.Equal(sum[:], blob[len(body):]) {
		return nil, errBlob
	}
	b, rest := &sealed{}, body[len(magic):]
	for _, part := range [][]byte{b.salt[:], b.parent[:], b.unique[:]} {
		rest = rest[copy(part, rest):]
	}
	if int(binary.BigEndian.Uint16(rest)) != len(rest)-2 {
		return nil, errBlob
	}
	b.private = rest[2:]
	return b, nil
}

// publicPart is that of a sealed object: NoDA is not among its attributes, so wrong
// PINs count; and it may not leave its TPM. No blob says otherwise.
func (b *sealed) publicPart() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:             tpm2.TPMAlgKeyedHash,
		NameAlg:          tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true},
		Unique:           tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: b.unique[:]}),
	}
}

// take fills in what the TPM made, if it is what was asked for.
func (b *sealed) take(parent, public, private []byte) error {
	if len(parent) != nameSize || len(public) < uniqueSize || len(private) == 0 || len(private) > maxPrivate {
		return errors.New("the TPM made an object of another size")
	}
	copy(b.parent[:], parent)
	copy(b.unique[:], public[len(public)-uniqueSize:])
	b.private = private
	if !bytes.Equal(tpm2.Marshal(b.publicPart()), public) {
		return errors.New("the TPM made another object than was asked for")
	}
	return nil
}
