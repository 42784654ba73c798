package gesture

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// The bounds of an RSA modulus in bits: less is weak, more is work for nothing.
const minRSA, maxRSA = 2048, 8192

// The labels of a COSE_Key (RFC 9052, §7; RFC 9053, §7; RFC 8230, §4) and the
// values that are allowed for them, as CBOR encodes them.
const (
	labelType      = "\x01"
	labelAlgorithm = "\x03"
	label1         = "\x20" // -1: the curve, or n
	label2         = "\x21" // -2: x, or e
	label3         = "\x22" // -3: y

	typeOKP, typeEC2, typeRSA = "\x01", "\x02", "\x03"
	algES256, algEdDSA        = "\x26", "\x27"
	algRS256                  = "\x39\x01\x00"
	curveP256, curveEd25519   = "\x01", "\x06"
	sizeOKP, sizeEC2, sizeRSA = 4, 5, 4 // how many members each has
	coordinate                = 32      // bytes
)

// verifier of signatures by one public key.
type signedBy func(msg, sig []byte) bool

// readKey reads a COSE_Key with exactly the members that its kind needs, as an
// authenticator writes it (W3C Web Authentication Level 3, §6.5.1.1).
func readKey(b []byte) (signedBy, bool) {
	m, rest, ok := cborPairs(b, 1)
	if !ok || len(rest) > 0 {
		return nil, false
	}
	switch string(m[labelType]) + string(m[labelAlgorithm]) {
	case typeEC2 + algES256:
		return es256(m)
	case typeOKP + algEdDSA:
		return edDSA(m)
	case typeRSA + algRS256:
		return rs256(m)
	}
	return nil, false
}

func es256(m map[string][]byte) (signedBy, bool) {
	x, ok1 := cborString(m[label2])
	y, ok2 := cborString(m[label3])
	if !ok1 || !ok2 || len(m) != sizeEC2 || string(m[label1]) != curveP256 || len(x) != coordinate || len(y) != coordinate {
		return nil, false
	}
	point := append(append([]byte{4}, x...), y...)
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point) // refuses what is not on the curve
	return func(msg, sig []byte) bool {
		h := sha256.Sum256(msg)
		return ecdsa.VerifyASN1(pub, h[:], sig)
	}, err == nil
}

func edDSA(m map[string][]byte) (signedBy, bool) {
	x, ok := cborString(m[label2])
	if !ok || len(m) != sizeOKP || string(m[label1]) != curveEd25519 || len(x) != ed25519.PublicKeySize {
		return nil, false
	}
	return func(msg, sig []byte) bool { return ed25519.Verify(x, msg, sig) }, true
}

func rs256(m map[string][]byte) (signedBy, bool) {
	n, ok1 := cborString(m[label1])
	e, ok2 := cborString(m[label2])
	if !ok1 || !ok2 || len(m) != sizeRSA || len(n) == 0 || n[0] == 0 || len(e) == 0 || len(e) > 4 || e[0] == 0 {
		return nil, false
	}
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := pub.N.BitLen(); bits < minRSA || bits > maxRSA || pub.N.Bit(0) == 0 || pub.E <= 2 || pub.E&1 == 0 || pub.E > 1<<31-1 {
		return nil, false
	}
	return func(msg, sig []byte) bool {
		h := sha256.Sum256(msg)
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, h[:], sig) == nil
	}, true
}
